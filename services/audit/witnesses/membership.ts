import type { Event } from "../../../lib/contracts/events.ts";
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
};

/** What the view needs of a record. */
export type Told = Pick<LedgerRecord, "event" | "via" | "added">;

/** Object of every event about a witness. */
export const WITNESS_KIND = "witness";

const NEW: Omit<WitnessRow, "name"> = { offered: null, admitted: null, barred: false };

/** Which witness a record is about; null for records that change no membership. */
export function witnessOf({ event, via, added }: Told): string | null {
  const { type, obj } = event as Event;
  if (added.result !== "booked") return null;
  if (type === "witness.offered") return via.kind === "outbox" ? via.name : null;
  return type === "witness.admitted" || type === "witness.removed" ? obj.key : null;
}

/** Membership after a record that {@link witnessOf} names. What does not read as an offer or admission changes nothing. */
export function foldWitness(name: string, before: WitnessRow | null, seq: number, { event }: Told): WitnessRow {
  const row = before ?? { name, ...NEW };
  const { type, payload, actor } = event as Event;
  if (type === "witness.offered") {
    const offer = WitnessOffer.safeParse(payload);
    return offer.success ? { ...row, offered: { ...offer.data, seq } } : row;
  }
  const byHand = actor.auth !== "service";
  if (type === "witness.removed") return { ...row, admitted: null, barred: row.barred || byHand };
  const admission = WitnessAdmission.safeParse(payload);
  return admission.success ? { ...row, admitted: { ...admission.data, byHand, seq }, barred: false } : row;
}
