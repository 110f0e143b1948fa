import type { VerifyReport } from "../../lib/contracts/book.ts";
import type { VerifyCause } from "../../lib/storage/verified-event.ts";

/** How the last verification ended, for `/readyz`: true, or what is wrong. */
export type LastOutcome = true | string;

export type Verification = {
  /** Verifies the book and puts the result on record once. Whoever asks while one runs gets the result of that one. */
  run(cause: VerifyCause): Promise<VerifyReport>;
  /** Null before the first one has ended. */
  last(): LastOutcome | null;
};

/**
 * Verifications of a book, one at a time: each reads the whole book.
 *
 * @param o.tell - puts the result on record. A damaged book takes no record, and that must not hide the report.
 */
export function createVerification(o: {
  verify: () => Promise<VerifyReport>;
  tell: (report: VerifyReport, cause: VerifyCause) => Promise<void>;
  onUntold: (error: unknown) => void;
}): Verification {
  let running: Promise<VerifyReport> | null = null;
  let last: LastOutcome | null = null;

  async function verifyAndTell(cause: VerifyCause): Promise<VerifyReport> {
    try {
      const report = await o.verify();
      last = outcomeOf(report);
      await o.tell(report, cause).catch(o.onUntold);
      return report;
    } catch (error) {
      last = "the last verification could not be carried out; the log has the reason";
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

function outcomeOf(report: VerifyReport): LastOutcome {
  if (report.ok) return true;
  const first = report.damaged[0];
  const place = first === undefined ? "" : `, the first at record ${first.seq} (${first.kind})`;
  return `the last verification found ${report.damagedCount} damaged places in ${report.size} records${place}`;
}
