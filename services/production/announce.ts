import type { Event, EventDraft } from "../../lib/contracts/events.ts";
import { lossOf } from "../../lib/contracts/loss.ts";
import { sha256 } from "../../lib/ledger/hash.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import type { Restoration } from "../../lib/storage/backup/restored-book.ts";
import type { Booked } from "./entry-state.ts";

/**
 * What the audit book is told of a record of this book. It has the id of the event that it tells of: one happening,
 * one id, in every book that tells of it, so that telling it twice books it once. `at` is there when a correction
 * moved the time of the entry, `loss` when an older copy was put in the book's place on purpose.
 *
 * After the book was restored from a backup, what had happened before comes again and gets other numbers. Audit may know
 * of it under the event's id already, so it is told as a record that was booked again, under an id of its own.
 */
export function announcementOf(
  booked: Booked,
  record: Pick<LedgerRecord, "event" | "added">,
  restoration: Restoration | null = null,
): EventDraft {
  const event = record.event as Event;
  const again = restoration !== null && booked.seq >= restoration.size && event.at < restoration.at;
  const loss = lossOf(event);
  const { result, code, rev, before, after, role, flags } = record.added;
  const payload = {
    book: "production",
    type: event.type,
    seq: booked.seq,
    leaf: booked.leaf,
    result,
    code,
    rev,
    before,
    after,
    role,
    flags,
    origin: event.src.name,
    ...(again && { event: event.id }),
    ...(loss !== null && { loss }),
    ...(event.type === "entry.corrected" && event.payload["at"] !== undefined && { at: event.payload["at"] }),
  } as EventDraft["payload"];
  return {
    id: again ? rebookedId(event, restoration) : event.id,
    type: again ? "record.rebooked" : "record.booked",
    at: event.at,
    tz: event.tz,
    clock: event.clock,
    actor: event.actor,
    obj: event.obj,
    reason: event.reason,
    payload,
  };
}

/** A UUID version 7 (RFC 9562 §5.7) with the event's time: the same event and restore give the same one. */
function rebookedId(event: Event, restoration: Restoration): string {
  const hash = sha256(Buffer.from(`${restoration.event}/${event.id}`)).toString("hex");
  const variant = ((Number.parseInt(hash.slice(3, 4), 16) & 0x3) | 0x8).toString(16);
  return `${event.id.slice(0, 14)}7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`;
}
