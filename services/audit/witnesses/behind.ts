import { RastroError } from "../../../lib/contracts/errors.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { BookOwnAct } from "../own-acts.ts";
import type { AskedBy } from "./admissions.ts";
import { sentenceOf } from "./gate.ts";
import type { LossAccepted } from "./loss.ts";
import { draftOf, type Teller } from "./own-events.ts";
import type { TroubleLog } from "./trouble-log.ts";
import type { Behind, WitnessedLog } from "./witnessed-log.ts";

/** Books of which somebody has seen more than they have. */
export interface BehindBooks {
  /** Stops a book, and says so; all that is known of it. A book that cannot be told is told again the next time. */
  fall(...behind: Behind[]): Promise<void>;
  of(book: BookName): readonly Behind[];
  /** Ends it for a book that has got back what was missing, or whose loss has turned out to be accepted. */
  look(): Promise<void>;
  /**
   * Lets a book go on from where it is, and puts on record who had seen how much. On disk when it resolves.
   *
   * @returns how many records the book has.
   * @throws RastroError `not_behind`.
   */
  accept(book: BookName, by: AskedBy): Promise<number>;
}

export function createBehindBooks(o: {
  logs: () => readonly WitnessedLog[];
  /** So many records somebody had seen of a book when its loss was accepted: whoever has seen no more says nothing new. */
  accepted: (book: BookName) => number;
  isBooked: (id: string) => boolean;
  troubles: TroubleLog;
  tell: BookOwnAct;
  teller: Teller;
  log: Logger;
}): BehindBooks {
  const known = new Map<BookName, Behind[]>();
  /** Those whose loss is being accepted: they are not stopped again meanwhile. */
  const accepting = new Set<BookName>();
  const of = (book: BookName) => known.get(book) ?? [];
  const keyOf = (book: BookName) => ({ type: "witness.log-behind" as const, book, witness: null });

  function logOf(book: BookName): WitnessedLog {
    const log = o.logs().find((log) => log.book === book);
    if (log === undefined) throw new RangeError(`no book ${book} is witnessed`);
    return log;
  }

  async function fall(...all: Behind[]): Promise<void> {
    for (const { book, size, by } of all) {
      if (accepting.has(book) || size <= o.accepted(book)) continue;
      known.set(book, [...of(book).filter((one) => one.by !== by), { book, size, by }]);
    }
    for (const book of new Set(all.map(({ book }) => book))) if (of(book).length > 0) await stop(book);
  }

  async function stop(book: BookName): Promise<void> {
    const log = logOf(book);
    try {
      // Before it is told: a book that is behind must not take that as one more record.
      for (const behind of of(book)) {
        // Accepted since it was begun: one more hold would shut what is being let go.
        if (accepting.has(book)) return;
        await log.hold(behind);
      }
      const message = sentenceOf(of(book), await log.size());
      o.troubles.begin({ ...keyOf(book), message: `It turns out that ${message}.`, notes: null });
    } catch (error) {
      o.log.error({ err: error, book }, "a book that is behind could not be stopped");
    }
  }

  async function end(book: BookName, why: string): Promise<void> {
    known.delete(book);
    await logOf(book).release();
    o.troubles.end(keyOf(book), why);
    await o.troubles.settle();
  }

  return {
    fall,
    of,
    async look() {
      for (const [book, behind] of known) {
        if (accepting.has(book)) continue;
        const size = logOf(book).latest()?.head.size ?? 0;
        const accepted = Math.max(size, o.accepted(book));
        if (behind.every((one) => one.size <= size)) await end(book, `The book ${book} has got back what was missing.`);
        else if (behind.every((one) => one.size <= accepted)) await end(book, acceptedSentence(book));
      }
    },
    async accept(book, by) {
      const log = logOf(book);
      const size = await log.size();
      if (o.isBooked(by.id)) return size;
      const seen = of(book).map(({ by, size }) => ({ by, size }));
      if (seen.length === 0) throw notBehind(book);
      accepting.add(book);
      try {
        // The record of it goes into the audit book: that one has to be let go first, another only once it is recorded.
        if (book === "audit") await log.release();
        await o.troubles.settle();
        const payload = { book, size, seen } satisfies LossAccepted;
        await o.tell(draftOf(o.teller, { type: "book.loss-accepted", obj: { kind: "book", key: book }, payload }, by));
        await end(book, acceptedSentence(book));
      } finally {
        accepting.delete(book);
      }
      return size;
    },
  };
}

function acceptedSentence(book: BookName): string {
  return `The loss of records of the book ${book} was accepted.`;
}

function notBehind(book: BookName): RastroError {
  const message = `Accepting a loss of the book ${book} failed: nobody is known to have seen more of it than it has.`;
  return new RastroError({ code: "not_behind", message, given: book });
}
