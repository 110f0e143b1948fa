import type { Event } from "../../contracts/events.ts";
import type { LedgerRecord } from "../../ledger/record.ts";
import { fillGap, isMissing, noteGap } from "./gaps.ts";
import { advance } from "./intake-position.ts";
import { keys, readU64 } from "../keys.ts";
import type { Tx } from "../store/store.ts";

/**
 * Brings what an intake knows of outboxes up to a record: how far each has come, and what of it is missing. Records in
 * their order give what the book's own service had, so that senders go on where they were.
 *
 * One thing is not in the records: the places of events that were set apart. Their sender offers them again, and they
 * are set apart again.
 */
export function replayIntake(tx: Tx, record: LedgerRecord): void {
  const event = record.event as Event;
  if (event.type === "gap.found") return replayGap(tx, record.seq, event);
  const { outbox } = event.src;
  if (record.via.kind !== "outbox" || outbox === null) return;
  const { name } = event.src;
  if (outbox.dseq > lastOf(tx, name, outbox.epoch)) advance(tx, name, outbox.epoch, outbox.dseq);
  else if (isMissing(tx, name, outbox.epoch, outbox.dseq)) fillGap(tx, name, outbox.epoch, outbox.dseq);
}

function replayGap(tx: Tx, seq: number, { payload }: Event): void {
  const { from, epoch, first, last } = payload;
  const isGap = typeof from === "string" && typeof epoch === "string" && isPlace(first) && isPlace(last);
  if (!isGap) return;
  noteGap(tx, from, epoch, { first, last, seq });
  if (last > lastOf(tx, from, epoch)) advance(tx, from, epoch, last);
}

function lastOf(tx: Tx, name: string, epoch: string): number {
  const stored = tx.get(keys.position(name, epoch));
  return stored === undefined ? 0 : readU64(stored);
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
