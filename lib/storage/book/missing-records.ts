import { decodeHead } from "./head-state.ts";
import { HEAD_KEY, readU64, RECORDS } from "../keys.ts";
import type { ReadNote } from "./note-file.ts";
import type { Store } from "../store/store.ts";

/** Ranges that are named. */
const NAMED = 5;

/**
 * Which of the records below `size` a store does not have, in words; null when it has all of them. It reads the numbers
 * of all records.
 */
async function missingRecords(store: Store, size: number): Promise<string | null> {
  const gaps: [number, number][] = [];
  let missing = 0;
  let due = 0;
  const pass = (seq: number) => {
    if (seq > due) gaps.push([due, seq - 1]);
    missing += Math.max(0, seq - due);
    due = seq + 1;
  };
  for await (const [key] of store.range(RECORDS)) if (key.length === 9 && readU64(key, 1) < size) pass(readU64(key, 1));
  pass(size);
  if (missing === 0) return null;
  const named = gaps.slice(0, NAMED).map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`));
  const more = gaps.length > NAMED ? ` and in ${gaps.length - NAMED} more places` : "";
  return `${missing} of ${size} records are missing from it: ${named.join(", ")}${more}`;
}

/**
 * What is wrong with the book of a repaired copy: why there is one, and which records are not in it. Head and head note
 * say how many there were, the head note first, which lies outside the store.
 */
export async function describeRepaired(o: { store: Store; note: ReadNote | null; repaired: string }): Promise<string> {
  const noted = typeof o.note === "object" && o.note !== null ? o.note.size : 0;
  const size = Math.max(noted, decodeHead(o.store.getNow(HEAD_KEY))?.range.size ?? 0);
  const missing = await missingRecords(o.store, size);
  return missing === null ? `${o.repaired}; it has all of ${size} records` : `${o.repaired}; ${missing}`;
}
