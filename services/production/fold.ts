import type { Tx } from "../../lib/storage/store/store.ts";
import {
  type Booked,
  changedEntry,
  decodeState,
  encodeState,
  type EntryState,
  type FoldableRecord,
  nextState,
} from "./entry-state.ts";
import { foldTotals } from "./totals.ts";
import { entryKey, lotEntryKey, newestKey } from "./view-keys.ts";

/**
 * Brings the views up to one more record. It knows only the record and what it wrote itself for the records before,
 * so the same records in the same order give the same bytes: when they are booked and when the views are rebuilt.
 * Call it in the batch of the record (decision 22: `tx` sees what earlier appends of the group wrote).
 */
export function foldRecord(tx: Tx, booked: Booked, record: FoldableRecord): void {
  const id = changedEntry(record);
  if (id === null) return;
  // An id is created once in a book, so a creation needs no look at what was before.
  const before = record.added.rev === 1 ? null : (stateOf(tx, id) ?? null);
  const after = nextState(before, record, booked);
  tx.put(entryKey(id), encodeState(after));
  foldListings(tx, before, after);
  foldTotals(tx, before, after);
}

export function stateOf(tx: Pick<Tx, "get">, id: string): EntryState | undefined {
  const bytes = tx.get(entryKey(id));
  return bytes === undefined ? undefined : decodeState(bytes);
}

function foldListings(tx: Tx, before: EntryState | null, after: EntryState): void {
  const firstSeq = after.seqs[0] as number;
  const id = Buffer.from(after.id, "latin1");
  if (before === null) tx.put(newestKey(firstSeq), id);
  if (before?.fields.lot === after.fields.lot) return;
  if (before !== null) tx.del(lotEntryKey(before.fields.lot, firstSeq));
  tx.put(lotEntryKey(after.fields.lot, firstSeq), id);
}
