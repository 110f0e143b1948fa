import { readFile } from "node:fs/promises";
import { codeOf, createOnce, unusable } from "./new-file.ts";

/**
 * The secret in a file of the hub (mode 0600): 256 random bits, made by whoever comes first. Whoever can read the file
 * is trusted with what it opens.
 *
 * @throws RastroError `store_unusable`.
 */
export async function loadOrCreateSecret(file: string, random: (bytes: number) => Buffer): Promise<string> {
  await createOnce(file, `${random(32).toString("base64url")}\n`);
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw unusable(`Reading (${codeOf(error) ?? "fault"})`, file, error);
  }
}

/** The header in which the console shows the hub the secret of `keys/console-forwarding`. */
export const FORWARDED_BY = "x-rastro-forwarded-by";
