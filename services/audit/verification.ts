import type { VerifyReport } from "../../lib/contracts/book.ts";
import type { Actor } from "../../lib/contracts/events.ts";
import type { ServiceEventInput } from "../../lib/storage/service-event.ts";

/** Why a verification was made, and for whom. */
export type Cause = { why: "request" | "nightly"; actor: Actor };

/** The last verification that ended; `error` when it could not be carried out at all. */
export type Outcome = { at: number; ok: boolean; sentence: string };

export type Verification = {
  /** Verifies the book and books the result once. Whoever asks while one runs gets the result of that one. */
  run(cause: Cause): Promise<VerifyReport>;
  last(): Outcome | null;
};

/**
 * Verifications of a book, one at a time: each reads the whole book.
 *
 * @param o.tell - puts the result on record; a damaged book cannot, and that must not hide the report.
 */
export function createVerification(o: {
  verify: () => Promise<VerifyReport>;
  tell: (event: Omit<ServiceEventInput, "id">) => Promise<void>;
  onUntold: (error: unknown) => void;
  now: () => number;
}): Verification {
  let running: Promise<VerifyReport> | null = null;
  let last: Outcome | null = null;

  async function verifyAndTell(cause: Cause): Promise<VerifyReport> {
    try {
      const report = await o.verify();
      last = { at: o.now(), ok: report.ok, sentence: sentenceOf(report) };
      await o.tell(eventOf(report, cause)).catch(o.onUntold);
      return report;
    } catch (error) {
      last = { at: o.now(), ok: false, sentence: "the last verification could not be carried out; the log has the reason" };
      throw error;
    } finally {
      running = null;
    }
  }

  return {
    run: (cause) => (running ??= verifyAndTell(cause)),
    last: () => last,
  };
}

function sentenceOf(report: VerifyReport): string {
  if (report.ok) return `${report.size} records verified`;
  const first = report.damaged[0];
  const place = first === undefined ? "" : `, the first at record ${first.seq} (${first.kind})`;
  return `the last verification found ${report.damagedCount} damaged places in ${report.size} records${place}`;
}

function eventOf(report: VerifyReport, { why, actor }: Cause): Omit<ServiceEventInput, "id"> {
  const { book, ok, size, root, damagedCount, signatures, tookMs } = report;
  return {
    type: "book.verified",
    actor,
    obj: { kind: "book", key: book },
    payload: { why, ok, size, root, damagedCount, signatures, tookMs },
  };
}
