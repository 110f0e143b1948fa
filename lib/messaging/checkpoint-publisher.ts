import type { Logger } from "pino";
import type { LogRotations } from "../contracts/book.ts";
import type { BookName } from "../contracts/names.ts";
import { topics } from "../contracts/topics.ts";
import type { Link } from "./link.ts";
import { type After, after as systemAfter } from "./timing.ts";

/** At most one checkpoint in so long, ms. */
const EVERY_MS = 1000;
/** Without a change the last one is told again after so long, ms: a silent log is seen to be alive. */
const HEARTBEAT_MS = 60_000;

/** What a publisher needs of a book's checkpoints; those in `lib/storage` have this shape. */
export interface CheckpointsPort {
  /** Signs the book as it is; `isNew` says whether it is another than the one before. On disk when it resolves. */
  issue(): Promise<{ note: string; isNew: boolean }>;
  latest(): { note: string } | null;
}

export type CheckpointPublisher = {
  /** Tells the newest checkpoint again at once, since cosignatures have come in. */
  republish(): Promise<void>;
  /** Called with each checkpoint that is told because the book changed or a minute has passed. */
  onTold(listener: (note: string) => void): void;
  /** Signs what is new since the last time and tells it. */
  stop(): Promise<void>;
};

/**
 * Publishes the checkpoints of a book, retained: one within a second of a change, and one a minute without any. A fault
 * is logged and tried again a second later.
 */
export function publishCheckpoints(o: {
  link: Pick<Link, "publish" | "connected" | "onUp">;
  book: BookName;
  checkpoints: CheckpointsPort;
  /** The notes by which the log's keys handed over; told when there are others than before. */
  rotations: () => readonly string[];
  log: Logger;
  now: () => number;
  after?: After;
}): CheckpointPublisher {
  const after = o.after ?? systemAfter;
  const listeners: ((note: string) => void)[] = [];
  let rotationsTold = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  let cancel: () => void = () => undefined;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;

  async function publish(note: string): Promise<void> {
    if (!o.link.connected) return;
    await o.link.publish(topics.checkpoint(o.book), note, { qos: 1, retain: true });
    toldAt = o.now();
  }

  /** Before a checkpoint that only the new key signed. */
  async function tellRotations(): Promise<void> {
    const rotations = [...o.rotations()];
    if (rotations.length === rotationsTold || !o.link.connected) return;
    const text = JSON.stringify({ v: 1, rotations } satisfies LogRotations);
    await o.link.publish(topics.rotations(o.book), text, { qos: 1, retain: true });
    rotationsTold = rotations.length;
  }

  async function tell(): Promise<void> {
    await tellRotations();
    const { note, isNew } = await o.checkpoints.issue();
    // While the hub is away nobody is told, also not those beside it, who would hear the same each second.
    if (!o.link.connected || (!isNew && o.now() - toldAt < HEARTBEAT_MS)) return;
    await publish(note);
    for (const listener of listeners) listener(note);
  }

  function turn(): void {
    running = tell().catch((error: unknown) => {
      o.log.warn({ err: error, book: o.book }, "a checkpoint could not be told");
    });
    void running.then(() => {
      if (!stopped) cancel = after(EVERY_MS, turn);
    });
  }

  // A broker that was started anew may have lost what it retained.
  o.link.onUp(() => {
    toldAt = Number.NEGATIVE_INFINITY;
    rotationsTold = 0;
  });
  turn();
  return {
    async republish() {
      const latest = o.checkpoints.latest();
      if (latest !== null) await publish(latest.note);
    },
    onTold: (listener) => void listeners.push(listener),
    async stop() {
      stopped = true;
      cancel();
      await running;
      await tell().catch(() => undefined);
    },
  };
}
