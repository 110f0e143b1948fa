import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Migration } from "../migration/migration.ts";
import { RastroError } from "../../contracts/errors.ts";
import { liveTables } from "../level/manifest.ts";
import { isSoundTable } from "../level/table.ts";
import { Store } from "../store/store.ts";

const REPAIRER = fileURLToPath(new URL("repair-store.ts", import.meta.url));

/**
 * A book's store; `repaired` says why it is a repaired copy of it that is open, null where it is the store itself.
 * `close` closes the store and leaves word that this was done.
 */
export type OpenedStore = { store: Store; repaired: string | null; close(): Promise<void> };

/**
 * Opens the store of a book. One that LevelDB cannot open any more, or must not, is copied, and the copy repaired and
 * opened, to be read and never written; the folder itself is left as it is. So is one of an older format that cannot be
 * brought to the one of now since its tree is damaged.
 *
 * Where the store was not closed the last time, its tables' checksums are looked at first: LevelDB does not, and ends
 * the process when it merges tables whose keys are out of order, again at each start.
 *
 * @param o.copy - the folder for a repaired copy; what lies there is removed.
 * @param o.migration - how a store of an older format is brought to the one of now.
 * @throws RastroError as {@link Store.openFolder}; `store_unusable` too where not even the copy can be repaired.
 */
export async function openBookStore(folder: string, o: { copy: string; migration?: Migration }): Promise<OpenedStore> {
  const mark = `${folder}.open`;
  try {
    await assertNotHeadless(folder);
    if (existsSync(mark)) await assertSoundTables(folder);
    await mkdir(dirname(mark), { recursive: true });
    await writeFile(mark, "");
    const store = await Store.openFolder(folder, { ...migrating(o), ahead: true, threads: true });
    await rm(o.copy, { recursive: true, force: true });
    return { store, repaired: null, close: () => store.close().then(() => rm(mark, { force: true })) };
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    await makeRepairedCopy(folder, o.copy, thrown);
    const repaired = `unreadable: ${detailOf(thrown)}; what is read is a repaired copy in ${o.copy}`;
    const store = await Store.openFolder(o.copy, { threads: true, readOnly: true, migration: "salvage" });
    return { store, repaired, close: () => store.close() };
  }
}

function migrating({ migration }: { migration?: Migration }): { migration?: Migration } {
  return migration === undefined ? {} : { migration };
}

async function assertSoundTables(folder: string): Promise<void> {
  // What a merge that was cut short has left is no part of the store. Without a manifest LevelDB does not open it.
  for (const name of (await liveTables(folder)) ?? []) {
    const bytes = await readFile(join(folder, name)).catch(() => null);
    if (bytes !== null && !isSoundTable(bytes)) {
      throw damagedStore(folder, `the checksums in its table ${name} do not fit`);
    }
  }
}

/** LevelDB takes a folder without CURRENT for a new one, and removes the tables that it finds in it. */
async function assertNotHeadless(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.includes("CURRENT") || !names.some((name) => /\.(?:ldb|log)$|^MANIFEST-/.test(name))) return;
  throw damagedStore(folder, "its file CURRENT is missing");
}

function damagedStore(folder: string, why: string): RastroError {
  const message = `Opening the store in ${folder} failed: ${why}. Keep a copy of the folder as it is and restore a verified backup.`;
  const cause = Object.assign(new Error(why), { code: "LEVEL_CORRUPTION" });
  return new RastroError({ code: "store_unusable", message, given: folder }, { cause });
}

/**
 * Whether the files are at fault, and not the disk, the rights or another process. A file that is gone counts as one, and so
 * does a tree of an older format that does not agree with the book's head: a RangeError is what a migration is refused for.
 */
function isDamage(thrown: unknown): thrown is RastroError & { cause: Error } {
  if (!(thrown instanceof RastroError) || thrown.code !== "store_unusable") return false;
  if (thrown.cause instanceof RangeError) return true;
  const { code, message } = (thrown.cause ?? {}) as { code?: unknown; message?: string };
  return code === "LEVEL_CORRUPTION" || (code === "LEVEL_IO_ERROR" && /No such file or directory/.test(message ?? ""));
}

function detailOf(thrown: { cause: Error }): string {
  return `the store cannot be opened (${thrown.cause.message})`;
}

/** @throws what was thrown at the opening, where the copy cannot be repaired either. */
async function makeRepairedCopy(folder: string, copy: string, thrown: Error): Promise<void> {
  await rm(copy, { recursive: true, force: true });
  await cp(folder, copy, { recursive: true, filter: (path) => path !== join(folder, "LOCK") });
  // In a process of its own: LevelDB ends the process when it merges tables whose keys are out of order.
  const child = fork(REPAIRER, [copy], { stdio: "ignore" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw thrown;
}
