import type { Event } from "../../contracts/events.ts";
import type { LedgerRecord } from "../../ledger/record.ts";
import type { ReadReason } from "../people/sealed-reason.ts";

/** What a record says in words that the book itself does not hold: a login, and the text of a reason. */
export type Words = { who: string | null; text: string | null };

/** Null once the person has been erased. */
export type ReadWords = (record: Pick<LedgerRecord, "event">) => Promise<Words>;

export function createWords(o: { nameOf: (sub: string) => string | null; readReason: ReadReason }): ReadWords {
  return async ({ event }) => {
    const { id, actor, reason } = event as Event;
    return { who: o.nameOf(actor.sub), text: reason?.text ? await o.readReason(reason.text, id) : null };
  };
}
