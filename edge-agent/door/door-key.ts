import { chmod, readFile } from "node:fs/promises";
import { RastroError } from "../../lib/contracts/errors.ts";
import { createOnce } from "../../lib/runtime/new-file.ts";

/**
 * The key of the door: 256 random bits as text in a file that only its owner can read. Made at the first start.
 *
 * @throws RastroError `store_unusable` when the file cannot be read or written, or holds no key.
 */
export async function loadDoorKey(file: string, random: (bytes: number) => Buffer): Promise<string> {
  await createOnce(file, `${random(32).toString("base64url")}\n`, 0o600);
  const key = (await readFile(file, "utf8")).trim();
  if (key.length < 32) {
    throw new RastroError({
      code: "store_unusable",
      message: `Reading the door's key ${file} failed: it holds ${key.length} characters; expected: at least 32. Remove the file to have a new one made.`,
      given: file,
      expected: "at least 32 characters",
    });
  }
  await chmod(file, 0o600);
  return key;
}
