import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BACKUP_SUFFIX, BackupName, type BackupRow, type StoreName } from "../../contracts/backup.ts";
import { RastroError } from "../../contracts/errors.ts";
import { readHeader } from "./read.ts";

/** How many backups of a store are kept at most, and for how long. */
export type Retention = { count: number; ageMs: number };

/** The name of a backup that is made at `at` (ms): names sort as times do. */
export function backupName(at: number): string {
  return `${new Date(at).toISOString().replaceAll(/[-:.]/g, "")}${BACKUP_SUFFIX}`;
}

/** When a backup of this name was made, ms. */
export function madeAt(name: string): number {
  const [, y, mo, d, h, mi, s, ms] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z/.exec(name) ?? [];
  return Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}.${ms}Z`);
}

/** The backups in a folder, newest first; none where there is no folder. */
export async function backupsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => BackupName.safeParse(name).success).toSorted((a, b) => (a < b ? 1 : -1));
}

/**
 * The backups in a folder of which only some are kept, newest first: all but those that were made before a store was
 * brought to another format, which stay until somebody removes them.
 */
export async function passingBackupsIn(folder: string): Promise<string[]> {
  const names = await backupsIn(folder);
  const headers = await Promise.all(names.map((name) => readHeader(join(folder, name))));
  return names.filter((_name, place) => headers[place]?.why !== "before-migration");
}

/** The backups in a folder with what each says of itself, newest first. @param faultOf - what is known of one. */
export async function listBackups(
  folder: string,
  store: StoreName,
  faultOf: (name: string) => string | null = () => null,
): Promise<BackupRow[]> {
  const rows = (await backupsIn(folder)).map(async (name): Promise<BackupRow> => {
    const file = join(folder, name);
    const [{ size }, header] = await Promise.all([stat(file), readHeader(file)]);
    return { store, name, bytes: size, header, fault: faultOf(name) };
  });
  return Promise.all(rows);
}

/** Path of a backup. @throws RastroError `unknown_backup`. */
export async function requireBackup(folder: string, name: string): Promise<string> {
  if ((await backupsIn(folder)).includes(name)) return join(folder, name);
  const message = `Looking up the backup ${name} failed: it is not in ${folder}; "rastro backup list" shows which are.`;
  throw new RastroError({ code: "unknown_backup", message, given: name });
}

/**
 * Which backups are not kept any longer: those beyond the newest `count`, and those older than `ageMs`. The newest one
 * that is not known to be damaged is always kept.
 *
 * @param backups - newest first.
 */
export function notKept(
  backups: readonly { name: string; damaged: boolean }[],
  { count, ageMs }: Retention,
  now: number,
): string[] {
  const kept = backups.find(({ damaged }) => !damaged)?.name;
  return backups
    .filter(({ name }, place) => name !== kept && (place >= count || now - madeAt(name) > ageMs))
    .map(({ name }) => name);
}

/** Removes what a process that was killed had begun. Only for whoever alone writes backups into the folder. */
export async function removeDrafts(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const drafts = names.filter((name) => name.endsWith(`${BACKUP_SUFFIX}.draft`));
  await Promise.all(drafts.map((name) => rm(join(folder, name), { force: true })));
}
