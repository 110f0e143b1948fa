import type { VerifyReport } from "../../contracts/book.ts";
import type { Actor, EventDraft } from "../../contracts/events.ts";

/** Why a book was verified, and for whom. */
export type VerifyCause = { why: "request" | "nightly" | "hourly"; actor: Actor };

/** What goes on record of a verification: its result, never the damaged bytes. */
export function verifiedEvent(o: {
  report: VerifyReport;
  cause: VerifyCause;
  id: string;
  now: number;
  tz: string;
}): EventDraft {
  const { book, ok, from, size, root, damagedCount, signatures, tookMs } = o.report;
  return {
    id: o.id,
    type: "book.verified",
    at: new Date(o.now).toISOString(),
    tz: o.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: o.cause.actor,
    obj: { kind: "book", key: book },
    reason: null,
    payload: { why: o.cause.why, ok, from, size, root, damagedCount, signatures, tookMs },
  };
}
