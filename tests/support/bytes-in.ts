import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The files below a folder that hold these bytes, as they lie on the disk. */
export async function filesWith(folder: string, wanted: string | Buffer): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(
    files.map(async (file) => {
      // Others may compact their stores meanwhile.
      const bytes = await readFile(file).catch(() => Buffer.alloc(0));
      return bytes.includes(wanted) ? [file] : [];
    }),
  );
  return found.flat();
}
