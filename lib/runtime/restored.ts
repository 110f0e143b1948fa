import { readFile, rm } from "node:fs/promises";
import { RestoredMark } from "../contracts/backup.ts";
import { RastroError } from "../contracts/errors.ts";
import { parseJson } from "../contracts/parse.ts";
import { codeOf, replaceFile, unusable } from "./new-file.ts";

/** Leaves word of a restore beside the store. On disk when it resolves. @throws RastroError `store_unusable`. */
export async function leaveMark(file: string, mark: RestoredMark): Promise<void> {
  await replaceFile(file, `${JSON.stringify(mark)}\n`);
}

/** What the last restore left, cut off or not; null when there was none since the service last started. */
export async function readMark(file: string): Promise<RestoredMark | null> {
  try {
    return parseJson(RestoredMark, await readFile(file), file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("Reading", file, error);
  }
}

/**
 * To be called before a store is opened: one that a restore was moving when it was cut off may be missing or half
 * there, and a service would begin an empty one in its place.
 *
 * @throws RastroError `store_unusable` when a restore was cut off.
 */
export async function requireRestored(file: string): Promise<RestoredMark | null> {
  const mark = await readMark(file);
  if (mark === null || mark.state === "done") return mark;
  const message = `Opening the store ${mark.store} failed: its restore was cut off. Run "rastro backup restore ${mark.store} ${mark.backup}" again.`;
  throw new RastroError({ code: "store_unusable", message, given: file });
}

/** Once what it tells is on record. */
export async function removeMark(file: string): Promise<void> {
  await rm(file, { force: true });
}
