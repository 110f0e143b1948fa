import type { BackupFault } from "../../contracts/backup.ts";
import type { Store } from "../store/store.ts";
import { damagedBackup, readBackup } from "./read.ts";

/** Bytes of keys and values that wait to be written. */
const WAITING_BYTES = 4 * 1024 * 1024;

/**
 * Writes every row of a backup into a store that is new. In constant memory.
 *
 * @returns how many rows.
 * @throws RastroError `backup_damaged`: what was written until then is not to be used; `store_unusable`.
 */
export async function fillStore(
  file: string,
  store: Pick<Store, "write">,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<number> {
  const faults: BackupFault[] = [];
  let waiting: [Buffer, Buffer][] = [];
  let bytes = 0;
  let rows = 0;
  const flush = async () => {
    const taken = waiting;
    waiting = [];
    bytes = 0;
    await store.write((tx) => taken.forEach(([key, value]) => tx.put(key, value)));
  };
  for await (const part of readBackup(file)) {
    if (part.part === "fault") faults.push(part.fault);
    if (part.part !== "rows") continue;
    for (const row of part.rows) {
      waiting.push(row);
      bytes += row[0].length + row[1].length;
    }
    rows += part.rows.length;
    if (bytes >= WAITING_BYTES) await flush();
    onProgress(part.offset);
  }
  if (waiting.length > 0) await flush();
  if (faults.length > 0) throw damagedBackup(file, faults);
  return rows;
}
