import type { Event } from "../../lib/contracts/events.ts";
import type { RequestOf, ResponseOf } from "../../lib/contracts/operations.ts";
import { openRecord } from "../../lib/ledger/record.ts";
import type { BookQueries } from "../../lib/storage/book-queries.ts";
import type { ReadReason } from "../../lib/storage/sealed-reason.ts";

/** What a record says in words that the book itself does not hold: a login and the text of a reason. */
type Readable = { record: unknown; who: string | null; text: string | null };

export type ShowHandlers = {
  [O in "audit-tail" | "audit-show"]: (body: RequestOf<"audit", O>) => Promise<ResponseOf<"audit", O>>;
};

/**
 * Shows records to people who may read names and reasons. The record is as it is stored; what is readable beside it
 * comes from the directory of now, and is gone once a person has been erased.
 */
export function createShowHandlers(o: {
  queries: Pick<BookQueries, "book-tail" | "book-proof">;
  nameOf: (sub: string) => string | null;
  readReason: ReadReason;
}): ShowHandlers {
  async function readable(bytes: string): Promise<Readable> {
    const record = openRecord(Buffer.from(bytes, "base64"));
    const { id, actor, reason } = record.event as Event;
    const text = reason?.text ? await o.readReason(reason.text, id) : null;
    return { record, who: o.nameOf(actor.sub), text };
  }

  return {
    async "audit-tail"(page) {
      const { head, records } = await o.queries["book-tail"](page);
      const rows = await Promise.all(
        records.map(async ({ seq, leaf, bytes }) => ({ seq, leaf, ...(await readable(bytes)) })),
      );
      return { head, rows };
    },
    async "audit-show"(which) {
      const proof = await o.queries["book-proof"](which);
      return { proof, ...(await readable(proof.record.bytes)) };
    },
  };
}
