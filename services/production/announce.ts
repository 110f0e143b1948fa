import type { Event, EventDraft } from "../../lib/contracts/events.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import type { Booked } from "./entry-state.ts";

/**
 * What the audit book is told of a record of this book. It has the id of the event that it tells of: one happening,
 * one id, in every book that tells of it, so that telling it twice books it once. `at` is there when a correction
 * moved the time of the entry.
 */
export function announcementOf(booked: Booked, record: Pick<LedgerRecord, "event" | "added">): EventDraft {
  const event = record.event as Event;
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
    ...(event.type === "entry.corrected" && event.payload["at"] !== undefined && { at: event.payload["at"] }),
  } as EventDraft["payload"];
  return {
    id: event.id,
    type: "record.booked",
    at: event.at,
    tz: event.tz,
    clock: event.clock,
    actor: event.actor,
    obj: event.obj,
    reason: event.reason,
    payload,
  };
}
