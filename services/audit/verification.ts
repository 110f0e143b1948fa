import type { VerifyReport } from "../../lib/contracts/book.ts";
import type { VerifyCause } from "../../lib/storage/verified-event.ts";

/** How the last verification ended, for `/readyz`: true, or what is wrong. */
export type LastOutcome = true | string;

type OnProgress = (done: number, size: number) => void;

export type Verification = {
  /** Verifies the book and puts the result on record once. Whoever asks while one runs gets the result of that one. */
  run(cause: VerifyCause, onProgress?: OnProgress): Promise<VerifyReport>;
  /** Null before the first one has ended. */
  last(): LastOutcome | null;
};

/**
 * Verifications of a book, one at a time: each reads the whole book.
 *
 * @param o.tell - puts the result on record. A damaged book takes no record, and that must not hide the report.
 */
export function createVerification(o: {
  verify: (onProgress: OnProgress) => Promise<VerifyReport>;
  tell: (report: VerifyReport, cause: VerifyCause) => Promise<void>;
  onUntold: (error: unknown) => void;
}): Verification {
  let running: Promise<VerifyReport> | null = null;
  let last: LastOutcome | null = null;
  const watching = new Set<OnProgress>();

  async function verifyAndTell(cause: VerifyCause): Promise<VerifyReport> {
    try {
      const report = await o.verify((done, size) => {
        for (const tell of watching) tell(done, size);
      });
      last = outcomeOf(report);
      await o.tell(report, cause).catch(o.onUntold);
      return report;
    } catch (error) {
      last = "the last verification could not be carried out; the log has the reason";
      throw error;
    } finally {
      running = null;
      watching.clear();
    }
  }

  return {
    run(cause, onProgress) {
      if (onProgress !== undefined) watching.add(onProgress);
      return (running ??= verifyAndTell(cause));
    },
    last: () => last,
  };
}

function outcomeOf(report: VerifyReport): LastOutcome {
  if (report.ok) return true;
  const first = report.damaged[0];
  const place = first === undefined ? "" : `, the first at record ${first.seq} (${first.kind})`;
  return `the last verification found ${report.damagedCount} damaged places in ${report.size} records${place}`;
}
