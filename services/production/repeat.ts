import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event, Receipt, Sealed } from "../../lib/contracts/events.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import type { Tx } from "../../lib/storage/store/store.ts";
import type { Booked } from "./entry-state.ts";

/** What was booked earlier under the same event id. */
export type Earlier = { booked: Booked; record: LedgerRecord };

/** Looks an event's id up, within a stage so that a change of the same batch is found as well. */
export function earlierOf(book: Pick<Book, "find" | "leafAt" | "open">, tx: Tx, id: string): Earlier | undefined {
  const seq = book.find(id, tx);
  if (seq === undefined) return undefined;
  const record = book.open(seq, tx);
  return record && { booked: { seq, leaf: book.leafAt(seq, tx) as string }, record };
}

/**
 * The receipt of a change, and the version that it made, when the same was asked for before.
 *
 * Compared is what the asker said, not the signed bytes: the service's own clock, software version and the random
 * nonce of a sealed text differ between two askings of the same.
 *
 * @param unseal - reads a sealed text; null when it cannot be read any more.
 * @throws RastroError `id_conflict` when the id was used for something else.
 */
export function repeatOf(
  earlier: Earlier,
  asked: Event,
  text: string | null,
  unseal: (sealed: Sealed, eventId: string) => string | null,
): { rev: number; receipt: Receipt } {
  const { booked, record } = earlier;
  const before = record.event as Event;
  const sealed = before.reason?.text ?? null;
  const sameText = (sealed === null ? null : unseal(sealed, before.id)) === text;
  if (record.added.result !== "booked" || !sameText || canonicalText(saidIn(before)) !== canonicalText(saidIn(asked))) {
    throw new RastroError({
      code: "id_conflict",
      message: `Booking event ${asked.id} failed: its id is in the book with other content, as record ${booked.seq}.`,
      field: "id",
      given: asked.id,
      expected: "an id that was never used, or the same content again",
    });
  }
  return {
    rev: record.added.rev as number,
    receipt: { id: asked.id, status: "booked", book: "production", ...booked },
  };
}

function saidIn(event: Event): unknown {
  const { type, actor, src, obj, reason, payload } = event;
  const at = type === "entry.created" ? { at: event.at, tz: event.tz } : {};
  return { type, sub: actor.sub, from: src.name, obj, code: reason?.code ?? null, payload, ...at };
}
