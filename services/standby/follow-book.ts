import type { BookName } from "../../lib/contracts/names.ts";
import { toProblem } from "../../lib/contracts/errors.ts";
import { type Checkpoint, parseCheckpoint, signedBy } from "../../lib/ledger/checkpoint.ts";
import { LedgerError } from "../../lib/ledger/error.ts";
import { judgeCheckpoint, type Policy } from "../../lib/ledger/policy.ts";
import { formatVerifierKey, parseNote } from "../../lib/ledger/signed-note.ts";
import { type After, createBackoff, createSignal, within } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Mirror } from "../../lib/storage/copy/mirror.ts";
import type { KnownKeys } from "./known-keys.ts";
import { type FetchRecords, readAhead } from "./read-ahead.ts";

/** Requests for records on their way at once, for one book: enough to keep the line busy, and no burden to the service. */
const IN_FLIGHT = 3;
/** Records that are asked for at once, before answers have shown how many fit into one. */
const PAGE = 150;

/** For so long a follower that is to stop goes on with what it has begun, ms: a process has four seconds in all. */
const FINISH_MS = 1500;
/** And for so long it waits for a write that is under way; an answer that does not come is waited for no longer. */
const LAST_WRITE_MS = 250;

/** A log is asked for its keys at most once in this time, ms. */
const LEARN_EVERY_MS = 10_000;

export type FollowOptions = {
  book: BookName;
  /** The log's name in its checkpoints. */
  origin: string;
  mirror: Mirror;
  logKeys: Pick<KnownKeys, "newest" | "learn">;
  /** Who has to have cosigned a checkpoint before it counts; null for nobody. */
  policy: Policy | null;
  fetch: FetchRecords;
  now: () => number;
  after: After;
  random: (bytes: number) => Buffer;
  log: Logger;
};

/** Where a follower stands. Sizes are counts of records. */
export type Standing = {
  held: number;
  proven: Checkpoint | null;
  /** Size of the newest checkpoint that the log is known to have signed. */
  newest: number;
  /** When the oldest checkpoint that is not proven came, ms since 1970; null when all is proven. */
  behindSince: number | null;
  /** When a checkpoint of the log came last, or the following of a known log began, ms; null before the first. */
  heardAt: number | null;
  /** Why the last checkpoint was not taken, in a sentence; null when it was. */
  refusal: string | null;
  /** The log's newest checkpoint covers fewer records than one before it. */
  rewound: string | null;
  /** Why records could not be fetched at the last try; null when they could. */
  trouble: string | null;
  /** Why it follows no further. */
  divergence: string | null;
  /** Counters since the start. */
  counts: { checkpoints: number; refused: number; proofs: number; records: number };
};

export type Follower = {
  standing(): Standing;
  /** A checkpoint as it came. Never rejects. */
  take(note: string): Promise<void>;
  onChange(listener: () => void): void;
  /** Takes no more checkpoints, goes on to the newest that came for at most 1.5 s, and stops. */
  close(): Promise<void>;
};

/**
 * Keeps a mirror up with its log: each checkpoint that the log has signed (and the policy's witnesses have cosigned) is
 * a mark up to which records are fetched, in pages, and at which the copy has to have the log's root. What does not fit
 * ends the following for good: nothing is overwritten, and both sides are kept.
 */
export function followBook(o: FollowOptions): Follower {
  const { mirror, log } = o;
  const listeners: (() => void)[] = [];
  const work = createSignal();
  const backoff = createBackoff({ minimumMs: 200, maximumMs: 10_000, random: o.random });
  const counts = { checkpoints: 0, refused: 0, proofs: 0, records: 0 };
  let target: Checkpoint | null = null;
  let behindSince: number | null = isBehind(mirror) ? o.now() : null;
  let heardAt: number | null = mirror.proven === null ? null : o.now();
  let refusal: string | null = null;
  let rewound: string | null = null;
  let trouble: string | null = null;
  let leaving = false;
  let closed = false;
  let taking: Promise<void> = Promise.resolve();
  let learnedAt = Number.NEGATIVE_INFINITY;
  let cancelRetry = () => {};

  const changed = () => listeners.forEach((listener) => listener());

  async function take(text: string): Promise<void> {
    try {
      counts.checkpoints += 1;
      const checkpoint = await open(text);
      if (checkpoint === null) counts.refused += 1;
      else await takeNotice(checkpoint);
    } catch (error) {
      troubled(error);
    }
    changed();
  }

  /** Null where it is not to be believed; `refusal` says why. */
  async function open(text: string): Promise<Checkpoint | null> {
    if (isByNewKey(text, o) && o.now() - learnedAt >= LEARN_EVERY_MS) await learn();
    const opened = openCheckpoint(text, o);
    refusal = typeof opened === "string" ? opened : null;
    if (typeof opened !== "string") return opened;
    log.warn({ book: o.book, note: text.slice(0, 1000) }, opened);
    return null;
  }

  async function learn(): Promise<void> {
    learnedAt = o.now();
    const before = o.logKeys.newest();
    await o.logKeys.learn();
    const learned = o.logKeys.newest().filter((key) => !before.some(({ keyId }) => keyId === key.keyId));
    for (const key of learned) log.info({ book: o.book, key: formatVerifierKey(key) }, "the log has changed its key");
  }

  async function takeNotice(checkpoint: Checkpoint): Promise<void> {
    const { size } = checkpoint.head;
    const noted = await mirror.note(checkpoint);
    heardAt = o.now();
    if (noted === "older") {
      rewound = `the log's checkpoint covers ${size} records, and one over ${mirror.newest?.head.size ?? 0} was signed before it`;
      log.error({ book: o.book, size }, rewound);
      return;
    }
    rewound = null;
    if (noted === "diverged") return tellDivergence();
    if (isBehind(mirror)) behindSince ??= o.now();
    // Who signs is known by the pinned keys: a policy's line for the log may be of before a change of key.
    refusal = o.policy === null ? null : judgeCheckpoint({ ...o.policy, logs: [] }, checkpoint).refusal;
    if (refusal !== null) return;
    target = checkpoint;
    work.raise();
  }

  async function run(): Promise<void> {
    for (;;) {
      await work.wait();
      if (closed) return;
      try {
        await catchUp();
        trouble = null;
        backoff.reset();
      } catch (error) {
        if (closed) return;
        troubled(error);
        cancelRetry = o.after(backoff.next(), () => work.raise());
      }
      changed();
    }
  }

  async function catchUp(): Promise<void> {
    for (let mark = nextMark(); mark !== null; mark = nextMark()) {
      if (!(await fetchUpTo(mark.head.size)) || !(await mirror.prove(mark))) {
        if (mirror.divergence !== null) tellDivergence();
        return;
      }
      if (counts.proofs === 0) log.info({ book: o.book, size: mark.head.size }, "the copy is proven");
      counts.proofs += 1;
      behindSince = isBehind(mirror) ? o.now() : null;
      changed();
    }
  }

  /** The checkpoint to be reached; null when there is nothing to do, or nothing that may be done. */
  function nextMark(): Checkpoint | null {
    const isDone = target === null || target.head.size <= (mirror.proven?.head.size ?? -1);
    return closed || isDone || mirror.divergence !== null ? null : target;
  }

  /**
   * A page is on its way to the disk while the next one comes.
   *
   * @returns false where it had to end before.
   */
  async function fetchUpTo(size: number): Promise<boolean> {
    const pages = readAhead({ from: mirror.held, to: size, fetch: o.fetch, inFlight: IN_FLIGHT, limit: PAGE });
    let written = Promise.resolve(true);
    try {
      for await (const records of pages) {
        if (!(await written) || closed) return false;
        written = write(records);
      }
      return (await written) && !closed;
    } finally {
      // Whoever tries again begins behind what is on disk.
      await written.catch(() => undefined);
    }
  }

  async function write(records: Buffer[]): Promise<boolean> {
    if (!(await mirror.append(records))) return false;
    counts.records += records.length;
    changed();
    return true;
  }

  function tellDivergence(): void {
    const { divergence } = mirror;
    log.error(
      { book: o.book, divergence },
      `the copy of the book ${o.book} has diverged from its log: ${divergence?.why}`,
    );
  }

  function troubled(error: unknown): void {
    const message =
      toProblem(error).code === "internal" && error instanceof Error ? error.message : toProblem(error).message;
    if (message !== trouble) log.warn({ book: o.book, err: error }, "following the log failed; it is tried again");
    trouble = message;
  }

  /** What is known to have been signed is proven first, where that is a matter of a moment: else a promotion would miss it. */
  async function finish(): Promise<void> {
    let cancel = () => {};
    await new Promise<void>((resolve) => {
      const look = () => nextMark() === null && resolve();
      listeners.push(look);
      look();
      cancel = o.after(FINISH_MS, resolve);
    });
    cancel();
  }

  const running = run();
  return {
    standing: () => ({
      held: mirror.held,
      proven: mirror.proven,
      newest: Math.max(mirror.newest?.head.size ?? 0, mirror.proven?.head.size ?? 0),
      behindSince,
      heardAt,
      refusal,
      rewound,
      trouble,
      divergence: mirror.divergence?.why ?? null,
      counts: { ...counts },
    }),
    // One after the other: a checkpoint that overtook another would look like a log that goes back.
    take: (text) => (leaving ? taking : (taking = taking.then(() => take(text)))),
    onChange: (listener) => void listeners.push(listener),
    async close() {
      leaving = true;
      await taking;
      await finish();
      closed = true;
      cancelRetry();
      work.raise();
      await within(LAST_WRITE_MS, running, o.after);
    },
  };
}

/** What the log signed is more than what is proven here. */
function isBehind({ newest, proven }: Mirror): boolean {
  return (newest?.head.size ?? 0) > (proven?.head.size ?? 0) || (newest !== null && proven === null);
}

type Known = Pick<FollowOptions, "book" | "origin" | "logKeys">;

/** Whether a line under the log's name is by a key that is not known here: the log may have changed it. */
function isByNewKey(text: string, { origin, logKeys }: Known): boolean {
  const known = new Set(logKeys.newest().map(({ keyId }) => keyId));
  try {
    return parseNote(text).signatures.some(({ name, keyId }) => name === origin && !known.has(keyId));
  } catch {
    return false;
  }
}

/** The checkpoint, or why it is not to be believed. */
function openCheckpoint(text: string, { book, origin, logKeys }: Known): Checkpoint | string {
  try {
    const checkpoint = parseCheckpoint(text);
    const { head } = checkpoint;
    if (head.origin !== origin) {
      return `a checkpoint of the book ${book} is not taken: it is of "${head.origin}", expected "${origin}"`;
    }
    if (signedBy(checkpoint, logKeys.newest()).length > 0) return checkpoint;
    return `a checkpoint of the book ${book} over ${head.size} records is not taken: the log's key has not signed it`;
  } catch (error) {
    if (error instanceof LedgerError) return `a checkpoint of the book ${book} is not taken: ${error.message}`;
    throw error;
  }
}
