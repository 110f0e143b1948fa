import type { Event, EventDraft, EventType } from "../../../lib/contracts/events.ts";
import { BookName } from "../../../lib/contracts/names.ts";
import type { Told } from "./membership.ts";

/*
 * What can be wrong between a log and its witnesses. Each has an event when it begins and one when it ends; what is
 * open is read from these.
 */

/** Event with which a trouble begins, and the one that ends it. */
export const TROUBLES = {
  "witness.refused": "witness.refusal-ended",
  "witness.unproven": "witness.unproven-ended",
  "witness.conflict": "witness.conflict-ended",
  "witness.quorum-degraded": "witness.quorum-restored",
  "witness.log-behind": "witness.log-caught-up",
} as const satisfies Partial<Record<EventType, EventType>>;

export type TroubleType = keyof typeof TROUBLES;

/** Two checkpoints that do not go together, as signed notes; null for one that is not known. */
export type Notes = { held: string | null; offered: string | null };

export type Trouble = {
  type: TroubleType;
  book: BookName;
  /** Null for what is not about a single one. */
  witness: string | null;
  /** One sentence that says what is wrong. */
  message: string;
  /** With a conflict: both sides of it. */
  notes: Notes | null;
};

/** One trouble of a kind at a time, for each book and witness. */
export type TroubleKey = Pick<Trouble, "type" | "book" | "witness">;

export function troubleKey({ type, book, witness }: TroubleKey): string {
  return `${type}/${book}/${witness ?? ""}`;
}

/** What goes into the event with which it begins. */
export function beginningOf({
  type,
  book,
  witness,
  message,
  notes,
}: Trouble): Pick<EventDraft, "type" | "obj" | "payload"> {
  return {
    type,
    obj: objectOf(book, witness),
    payload: { book, witness, message, ...(notes !== null && { ...notes }) },
  };
}

/** … and into the one with which it ends. */
export function endOf({ type, book, witness }: TroubleKey, why: string): Pick<EventDraft, "type" | "obj" | "payload"> {
  return { type: TROUBLES[type], obj: objectOf(book, witness), payload: { book, witness, message: why } };
}

/** What a record does to the open troubles; null for nothing. */
export function foldTrouble({ event, via, added }: Told): { key: string; open: Trouble | null } | null {
  const { type, payload } = event as Event;
  if (via.kind !== "internal" || added.result !== "booked" || !type.startsWith("witness.")) return null;
  const book = BookName.safeParse(payload["book"]).data;
  if (book === undefined) return null;
  const witness = textOf(payload["witness"]);
  const begun = Object.keys(TROUBLES).find((known) => known === type) as TroubleType | undefined;
  if (begun !== undefined) {
    const notes =
      begun === "witness.conflict" ? { held: textOf(payload["held"]), offered: textOf(payload["offered"]) } : null;
    const open = { type: begun, book, witness, message: textOf(payload["message"]) ?? "", notes };
    return { key: troubleKey(open), open };
  }
  const ended = Object.entries(TROUBLES).find(([, end]) => end === type)?.[0] as TroubleType | undefined;
  return ended === undefined ? null : { key: troubleKey({ type: ended, book, witness }), open: null };
}

function objectOf(book: BookName, witness: string | null): EventDraft["obj"] {
  return witness === null ? { kind: "book", key: book } : { kind: "witness", key: witness };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
