import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import type { Event } from "../../lib/contracts/events.ts";
import type { Entry, EntryFields } from "../../lib/contracts/production.ts";

/** An entry as its records leave it: what the views keep of each entry, and what the next change is judged by. */
export type EntryState = {
  id: string;
  rev: number;
  state: Entry["state"];
  /** When it was made; a correction may move it. */
  at: string;
  /** When the creation arrived: what `late` and `future` are measured against, also after a correction of the time. */
  recv: string;
  /** The last live snapshot; a voided entry keeps it, so that a reader sees what was voided. */
  fields: EntryFields;
  flags: Entry["flags"];
  /** The records of all versions, oldest first; the first one gives the entry its place in listings. */
  seqs: number[];
  /** Leaf of the newest version's record. */
  leaf: string;
};

/** What the views need of a record: the same from an append and from a reading of the book. */
export type FoldableRecord = Pick<LedgerRecord, "recv" | "event" | "added">;
export type Booked = { seq: number; leaf: string };

/** The id of the entry that a record changes; null for a record that changes none (refused, quarantined, a gap). */
export function changedEntry(record: FoldableRecord): string | null {
  const event = record.event as Event;
  return record.added.result === "booked" && event.type.startsWith("entry.") ? event.obj.key : null;
}

/** The state after a booked record. Depends on nothing but its arguments, so that a rebuild comes to the same bytes. */
export function nextState(before: EntryState | null, record: FoldableRecord, booked: Booked): EntryState {
  const event = record.event as Event;
  const { rev, after, flags } = record.added;
  return {
    id: event.obj.key,
    rev: rev as number,
    state: event.type === "entry.voided" ? "voided" : "live",
    at: timeOf(event, before),
    recv: before?.recv ?? record.recv,
    fields: (after ?? before?.fields ?? record.added.before) as EntryFields,
    flags: flags as Entry["flags"],
    seqs: [...(before?.seqs ?? []), booked.seq],
    leaf: booked.leaf,
  };
}

function timeOf(event: Event, before: EntryState | null): string {
  if (before === null) return event.at;
  return typeof event.payload["at"] === "string" ? event.payload["at"] : before.at;
}

/** Canonical, since the same state must give the same bytes whether its fields came from a request or from the book. */
export function encodeState(state: EntryState): Buffer {
  return canonicalBytes(state);
}

export function decodeState(bytes: Uint8Array): EntryState {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as EntryState;
}

/** What a reader gets. The receipt is that of the newest version. */
export function entryOf(state: EntryState): Entry {
  return {
    id: state.id,
    rev: state.rev,
    state: state.state,
    at: state.at,
    fields: state.fields,
    flags: state.flags,
    receipt: {
      id: state.id,
      status: "booked",
      book: "production",
      seq: state.seqs.at(-1) as number,
      leaf: state.leaf,
    },
  };
}
