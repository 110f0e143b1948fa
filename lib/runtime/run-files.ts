import { readdirSync, readFileSync, unlinkSync } from "node:fs";
import { z } from "zod";
import { Instant } from "../contracts/names.ts";
import { foldersOf } from "./folders.ts";
import { replaceFile } from "./new-file.ts";

/** What a running process says about itself: `url` is its health server, on loopback. */
export const RunFile = z.strictObject({ name: z.string(), pid: z.int().min(1), url: z.url(), startedAt: Instant });
export type RunFile = z.infer<typeof RunFile>;

/** Writes `<data>/run/<name>.json`. @throws RastroError `store_unusable`. */
export async function writeRunFile(data: string, file: RunFile): Promise<void> {
  await replaceFile(foldersOf(data).runFile(file.name), `${JSON.stringify(file)}\n`, 0o644);
}

/** What was written last; null when there is none. A process that was killed leaves its file behind: ask its url. */
export function readRunFile(data: string, name: string): RunFile | null {
  try {
    return RunFile.parse(JSON.parse(readFileSync(foldersOf(data).runFile(name), "utf8")));
  } catch {
    return null;
  }
}

/** Every readable run file of the data folder, by name. */
export function listRunFiles(data: string): RunFile[] {
  try {
    const names = readdirSync(foldersOf(data).run).filter((name) => name.endsWith(".json"));
    return names
      .toSorted()
      .map((name) => readRunFile(data, name.slice(0, -".json".length)))
      .filter((file) => file !== null);
  } catch {
    return [];
  }
}

/** Removes the file if it is still this process's own: a successor may have written its own already. */
export function removeRunFile(data: string, name: string, pid: number): void {
  if (readRunFile(data, name)?.pid !== pid) return;
  try {
    unlinkSync(foldersOf(data).runFile(name));
  } catch {
    // Somebody else removed it: what was wanted is so.
  }
}
