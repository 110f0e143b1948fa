import type { Event, EventType } from "../../../lib/contracts/events.ts";
import { WitnessOffer } from "../../../lib/contracts/witness.ts";
import { WitnessAdmission } from "../../../lib/contracts/witness-members.ts";
import type { LedgerRecord } from "../../../lib/ledger/record.ts";

/** What the audit book says of one witness. `seq` is the record that says so. */
export type WitnessRow = {
  name: string;
  /** What its agent said last of its key and computer. */
  offered: { vkey: string; host: string | null; seq: number } | null;
  /** By what it is let in; null while it is not. `byHand` where a person did. */
  admitted: { vkey: string; url: string | null; host: string | null; byHand: boolean; seq: number } | null;
  /** A person took it out: an offer alone does not let it in again. */
  barred: boolean;
  /**
   * When its machine was revoked last, and whether it still is. What was offered or let in before that counts no more,
   * also once the machine is readmitted: whoever had the machine had that key.
   */
  revoked: { seq: number; now: boolean } | null;
};

/** What the view needs of a record. */
export type Told = Pick<LedgerRecord, "event" | "via" | "added">;

/** Object of every event about a witness. */
export const WITNESS_KIND = "witness";

/** Their object is the witness, or the machine that it is. */
const ABOUT_ONE: ReadonlySet<string> = new Set<EventType>([
  "witness.admitted",
  "witness.removed",
  "machine.revoked",
  "machine.readmitted",
]);

const NEW: Omit<WitnessRow, "name"> = { offered: null, admitted: null, barred: false, revoked: null };

/**
 * A row as it was kept. That of a damaged book may be of an older version, which knew less of a witness, and is not made
 * again.
 */
export function keptRow(kept: Pick<WitnessRow, "name"> & Partial<WitnessRow>): WitnessRow {
  return { ...NEW, ...kept };
}

/** Whether what a witness is let in by has come to nothing, since its machine was revoked. */
export function isRevoked({ admitted, revoked }: WitnessRow): boolean {
  return revoked !== null && (revoked.now || revoked.seq > (admitted?.seq ?? -1));
}

/** Which witness a record is about, if there is one of the name; null for records that change no membership. */
export function witnessOf({ event, via, added }: Told): string | null {
  const { type, obj } = event as Event;
  if (added.result !== "booked") return null;
  if (type === "witness.offered") return via.kind === "outbox" ? via.name : null;
  return ABOUT_ONE.has(type) ? obj.key : null;
}

/**
 * Membership after a record that {@link witnessOf} names. What does not read as an offer or admission changes nothing.
 *
 * @returns null for a machine that is no witness.
 */
export function foldWitness(name: string, before: WitnessRow | null, seq: number, { event }: Told): WitnessRow | null {
  const { type, payload, actor } = event as Event;
  if (type === "machine.revoked") return before === null ? null : { ...before, revoked: { seq, now: true } };
  if (type === "machine.readmitted")
    return before?.revoked ? { ...before, revoked: { ...before.revoked, now: false } } : before;
  const row = before ?? { name, ...NEW };
  if (type === "witness.offered") {
    const offer = WitnessOffer.safeParse(payload);
    return offer.success ? { ...row, offered: { ...offer.data, seq } } : row;
  }
  const byHand = actor.auth !== "service";
  if (type === "witness.removed") return { ...row, admitted: null, barred: row.barred || byHand };
  const admission = WitnessAdmission.safeParse(payload);
  return admission.success ? { ...row, admitted: { ...admission.data, byHand, seq }, barred: false } : row;
}
