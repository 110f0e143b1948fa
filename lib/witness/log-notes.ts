import { readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../ledger/hash.ts";
import { codeOf, makeFolder, replaceFile, unusable } from "../runtime/new-file.ts";

/** What a witness remembers between two requests: of each log the note that it cosigned last, and nothing else. */
export interface LogNotes {
  /** Null only when nothing was ever written for this log. @throws RastroError `store_unusable`. */
  read(origin: string): Promise<string | null>;
  /**
   * Replaces the note of a log, whole or not at all. On disk, synced, when it resolves; when it rejects
   * (`store_unusable`) the note before or the new one may be there.
   */
  write(origin: string, note: string): Promise<void>;
}

/** What the names of the files end with. */
export const NOTE_ENDING = ".note";

/** The name of a log in file names and in the addresses of tlog-witness: SHA-256 of its origin in hexadecimal. */
export function originHash(origin: string): string {
  return sha256(Buffer.from(origin)).toString("hex");
}

/**
 * Notes in a folder, a file for each log. One process at a time may have it open.
 *
 * @throws RastroError `store_unusable`.
 */
export async function openLogNotes(folder: string): Promise<LogNotes> {
  await removeDrafts(folder);
  const fileOf = (origin: string) => join(folder, originHash(origin) + NOTE_ENDING);
  return {
    async read(origin) {
      const file = fileOf(origin);
      try {
        return await readFile(file, "utf8");
      } catch (error) {
        if (codeOf(error) === "ENOENT") return null;
        throw unusable("Reading", file, error);
      }
    },
    write: (origin, note) => replaceFile(fileOf(origin), note),
  };
}

/** What a process that was killed while it wrote has left. */
async function removeDrafts(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
    const drafts = (await readdir(folder)).filter((name) => name.endsWith(".new"));
    await Promise.all(drafts.map((name) => unlink(join(folder, name))));
  } catch (error) {
    throw unusable("Opening", folder, error);
  }
}
