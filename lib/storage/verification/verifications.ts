import type { VerifyReport } from "../../contracts/book.ts";
import type { Book } from "../book/book.ts";
import { verifiedEvent, type VerifyCause } from "./verified-event.ts";
import type { EventDraft } from "../../contracts/events.ts";
import type { ServiceSelf } from "../book/service-event.ts";

/** How the last verification ended, for `/readyz`: true, or what is wrong. */
export type LastOutcome = true | string;

type OnProgress = (done: number, of: number) => void;
/** The first record that is read; `last`: from where the last verification that found the book whole had come to. */
type From = number | "last";

export interface Verifications {
  /**
   * Verifies the book and puts the result on record once. Whoever asks for the same while one runs, or while the whole
   * book is read, gets the result of that one; others wait until it has ended.
   */
  run(cause: VerifyCause, o?: { from?: From; onProgress?: OnProgress }): Promise<VerifyReport>;
  /** The whole book each night, what is new each hour. What comes of it is logged; it never rejects. */
  runScheduled(why: "nightly" | "hourly"): Promise<void>;
  /** Null before the first one has ended. What the whole book was found to be stands until it is read whole again. */
  last(): LastOutcome | null;
}

type Log = { info(values: object, message: string): void; error(values: object, message: string): void };

export type VerificationsOptions = {
  book: Pick<Book, "verify">;
  keyOf: (name: string) => Uint8Array | null;
  /** Puts the result on record. A damaged book takes no record, and that must not hide the report. */
  tell: (draft: EventDraft) => Promise<unknown>;
  self: Pick<ServiceSelf, "name" | "now" | "tz">;
  newId: () => string;
  log: Log;
};

type Running = { from: From; report: Promise<VerifyReport>; watching: Set<OnProgress> };

/** Verifications of a book, one at a time. */
export function createVerifications(o: VerificationsOptions): Verifications {
  let running: Running | null = null;
  const last: { whole: LastOutcome | null; part: LastOutcome | null } = { whole: null, part: null };

  function begin(cause: VerifyCause, from: From): Running {
    const watching = new Set<OnProgress>();
    const report = verifyAndTell(cause, from, watching).finally(() => (running = null));
    return { from, report, watching };
  }

  async function verifyAndTell(cause: VerifyCause, from: From, watching: Set<OnProgress>): Promise<VerifyReport> {
    const onProgress: OnProgress = (done, of) => {
      for (const watch of watching) watch(done, of);
    };
    try {
      const report = await o.book.verify({ keyOf: o.keyOf, now: o.self.now, from, onProgress });
      last.part = outcomeOf(report);
      if (report.from === 0) last.whole = last.part;
      await tell(report, cause);
      return report;
    } catch (error) {
      last.part = "the last verification could not be carried out; the log has the reason";
      throw error;
    }
  }

  async function tell(report: VerifyReport, cause: VerifyCause): Promise<void> {
    try {
      await o.tell(verifiedEvent({ report, cause, id: o.newId(), now: o.self.now(), tz: o.self.tz }));
    } catch (error) {
      o.log.error({ err: error }, "a verification could not be put on record");
    }
  }

  async function run(cause: VerifyCause, asked: Parameters<Verifications["run"]>[1] = {}): Promise<VerifyReport> {
    const { from = 0, onProgress } = asked;
    const ahead = running;
    if (ahead !== null && ahead.from !== 0 && ahead.from !== from) {
      await ahead.report.catch(() => undefined);
      return run(cause, asked);
    }
    const joined = (running ??= begin(cause, from));
    if (onProgress !== undefined) joined.watching.add(onProgress);
    return joined.report;
  }

  return {
    run,
    async runScheduled(why) {
      const actor = { sub: o.self.name, auth: "service" as const };
      try {
        logReport(o.log, await run({ why, actor }, { from: why === "hourly" ? "last" : 0 }), why);
      } catch (error) {
        o.log.error({ err: error, why }, "a scheduled verification failed");
      }
    },
    last: () => (typeof last.whole === "string" ? last.whole : (last.part ?? last.whole)),
  };
}

function logReport(log: Log, { ok, from, size, damagedCount, damaged }: VerifyReport, why: string): void {
  if (ok) log.info({ why, from, size }, "the book verified");
  else log.error({ why, from, size, damagedCount, damaged: damaged.slice(0, 10) }, "a verification found damage");
}

function outcomeOf(report: VerifyReport): LastOutcome {
  if (report.ok) return true;
  const first = report.damaged[0];
  const place = first === undefined ? "" : `, the first at record ${first.seq} (${first.kind})`;
  return `the last verification found ${report.damagedCount} damaged places in ${report.size} records${place}`;
}
