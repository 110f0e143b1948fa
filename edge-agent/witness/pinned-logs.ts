import { BookName } from "../../lib/contracts/names.ts";
import { formatVerifierKey, type VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { replaceFile } from "../../lib/runtime/new-file.ts";
import { readTrustedLogs } from "../../lib/witness/trusted-logs.ts";

/**
 * The keys of the logs that this machine was given when it joined. On the hub's own computer those that lie beside it
 * are pinned at the first start; a log that is pinned already keeps its key, whatever lies there later.
 *
 * Where the file is damaged no log is witnessed, and everything else of the machine works.
 */
export async function loadPinnedLogs(o: { folders: Folders; machine: string; log: Logger }): Promise<VerifierKey[]> {
  const file = o.folders.agentWitnessedLogs(o.machine);
  try {
    const pinned = (await readTrustedLogs(file)) ?? [];
    const found = (await keysOfBooks(o.folders)).filter((key) => !pinned.some(({ name }) => name === key.name));
    const all = [...pinned, ...found];
    if (found.length > 0) await pin(file, all, o.log);
    if (all.length === 0) o.log.warn({ file }, "no key of a log is pinned: this machine witnesses none");
    return all;
  } catch (err) {
    o.log.error({ err, file }, "the keys of the logs cannot be read: this machine witnesses none until it starts anew");
    return [];
  }
}

async function keysOfBooks({ logPublicKey }: Folders): Promise<VerifierKey[]> {
  const keys = await Promise.all(BookName.options.map((book) => readTrustedLogs(logPublicKey(book))));
  return keys.flatMap((found) => found ?? []);
}

async function pin(file: string, keys: readonly VerifierKey[], log: Logger): Promise<void> {
  await replaceFile(file, keys.map((key) => `${formatVerifierKey(key)}\n`).join(""), 0o644);
  log.info({ logs: keys.map(({ name }) => name) }, "pinned the keys of the logs that this machine witnesses");
}
