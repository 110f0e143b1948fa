import type { Event } from "../../contracts/events.ts";
import { BookName } from "../../contracts/names.ts";
import { canonicalText } from "../../ledger/canonical.ts";
import { decodeStaged, encodeStaged } from "../outbox/outbox-event.ts";
import { keys, readU64, u64 } from "../keys.ts";
import { decodeState, encodeState, type OutboxState } from "../outbox/outbox-state.ts";
import type { Store, Tx } from "../store/store.ts";

/** Events that one batch renews. */
const BATCH = 200;

/**
 * Gives the outboxes of a store that was restored new epochs, and numbers what they keep anew from 1. Since the backup
 * the old epochs have counted on and receivers know those numbers: under the old epoch what is staged next would be
 * taken for a number used twice. What is kept is told again under the new one; receivers know an event by its id.
 *
 * For a store that nothing else writes to. A crash in the middle leaves a store that has to be restored again.
 *
 * @returns how many outboxes were renewed.
 */
export async function renewOutboxes(store: Store, random: (length: number) => Buffer): Promise<number> {
  let renewed = 0;
  for (const book of BookName.options) {
    const stored = store.getNow(keys.outbox.state(book));
    if (stored === undefined) continue;
    await renewOne(store, book, decodeState(stored), random(8).toString("hex"));
    renewed += 1;
  }
  return renewed;
}

async function renewOne(store: Store, book: BookName, old: OutboxState, epoch: string): Promise<void> {
  const state: OutboxState = { ...old, epoch, bytes: 0 };
  const shift = old.kept - 1;
  for (let first = old.kept; first < old.next; first += BATCH) {
    await store.write((tx) => {
      for (let dseq = first; dseq < Math.min(first + BATCH, old.next); dseq += 1)
        renewEvent(tx, book, state, dseq, shift);
    });
  }
  const moved = { next: old.next - shift, floor: Math.max(1, old.floor - shift), kept: 1, low: old.low - shift };
  await store.write((tx) => tx.put(keys.outbox.state(book), encodeState({ ...state, ...moved })));
}

/** Upwards from the oldest: the new place of an event is free, or is its own. */
function renewEvent(tx: Tx, book: BookName, state: OutboxState, dseq: number, shift: number): void {
  const key = keys.outbox.event(book, dseq);
  const receipt = tx.get(keys.outbox.receipt(book, dseq));
  const bytes = tx.get(key);
  if (shift > 0) {
    tx.del(key);
    tx.del(keys.outbox.receipt(book, dseq));
    if (receipt !== undefined) tx.put(keys.outbox.receipt(book, dseq - shift), receipt);
  }
  const staged = decodeStaged(bytes);
  // What was lost before stays lost: reading the outbox passes it over and says so.
  if (staged === null) return;
  const event = JSON.parse(staged.text.toString()) as Event;
  const renewed: Event = { ...event, src: { ...event.src, outbox: { epoch: state.epoch, dseq: dseq - shift } } };
  const encoded = encodeStaged(staged.id, canonicalText(renewed));
  state.bytes += encoded.length;
  tx.put(keys.outbox.event(book, dseq - shift), encoded);
  const idKey = keys.outbox.id(book, staged.id);
  const place = tx.get(idKey);
  if (place !== undefined && readU64(place) === dseq) tx.put(idKey, u64(dseq - shift));
}
