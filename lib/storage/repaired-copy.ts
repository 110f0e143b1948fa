import { fork } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RastroError } from "../contracts/errors.ts";
import { Store } from "./store.ts";

const REPAIRER = fileURLToPath(new URL("repair-store.ts", import.meta.url));

/** A book's store; `repaired` says why it is a repaired copy of it that is open, null where it is the store itself. */
export type OpenedStore = { store: Store; repaired: string | null };

/**
 * Opens the store of a book. One that LevelDB cannot open any more is copied, and the copy repaired and opened, to be
 * read and never written; the folder itself is left as it is.
 *
 * @param o.copy - the folder for a repaired copy; what lies there is removed.
 * @throws RastroError as {@link Store.openFolder}; `store_unusable` too where not even the copy can be repaired.
 */
export async function openBookStore(folder: string, o: { copy: string }): Promise<OpenedStore> {
  try {
    await assertNotHeadless(folder);
    const store = await Store.openFolder(folder, { threads: true });
    await rm(o.copy, { recursive: true, force: true });
    return { store, repaired: null };
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    await makeRepairedCopy(folder, o.copy, thrown);
    const repaired = `unreadable: ${detailOf(thrown)}; what is read is a repaired copy in ${o.copy}`;
    return { store: await Store.openFolder(o.copy, { threads: true, readOnly: true }), repaired };
  }
}

/** LevelDB takes a folder without CURRENT for a new one, and removes the tables that it finds in it. */
async function assertNotHeadless(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.includes("CURRENT") || !names.some((name) => /\.(?:ldb|log)$|^MANIFEST-/.test(name))) return;
  const message = `Opening the store in ${folder} failed: its file CURRENT is missing. Keep a copy of the folder as it is and restore a verified backup.`;
  throw new RastroError(
    { code: "store_unusable", message, given: folder },
    { cause: corruption("CURRENT is missing") },
  );
}

function corruption(message: string): Error {
  return Object.assign(new Error(message), { code: "LEVEL_CORRUPTION" });
}

/** Whether the files are at fault, and not the disk, the rights or another process. A file that is gone counts as one. */
function isDamage(thrown: unknown): thrown is RastroError & { cause: Error } {
  if (!(thrown instanceof RastroError) || thrown.code !== "store_unusable") return false;
  const { code, message } = (thrown.cause ?? {}) as { code?: unknown; message?: string };
  return code === "LEVEL_CORRUPTION" || (code === "LEVEL_IO_ERROR" && /No such file or directory/.test(message ?? ""));
}

function detailOf(thrown: { cause: Error }): string {
  return `LevelDB cannot open the store (${thrown.cause.message})`;
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
