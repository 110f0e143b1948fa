import type { Logger } from "../../../lib/runtime/log.ts";
import { type After, createBackoff, createSignal } from "../../../lib/messaging/timing.ts";
import { askForCosignature, type Carry, type Outcome } from "./exchange.ts";
import type { Progress } from "./progress.ts";
import type { Member } from "./standing.ts";
import type { WitnessedLog } from "./witnessed-log.ts";

/** After so long a checkpoint that has not changed is cosigned again, ms: its cosignatures say that it is the newest still. */
export const HEARTBEAT_MS = 60_000;

const BACKOFF = { minimumMs: 1000, maximumMs: 60_000 };

/** Asks one witness about one log, one request at a time. */
export interface Asker {
  /** There is something new to cosign: now, or after the round or pause that is under way. */
  wake(): void;
  /** The witness seems to be back: a pause ends at once. */
  retry(): void;
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

export type AskerOptions = {
  log: WitnessedLog;
  member: Member;
  carry: Carry;
  /** What is known of the witness; written to. */
  progress: Progress;
  onOutcome: (outcome: Outcome) => Promise<void>;
  now: () => number;
  after: After;
  random: (bytes: number) => Buffer;
  logger: Logger;
};

/**
 * Starts asking. Of several checkpoints that come during a round only the newest is asked for; a witness that is away,
 * or that refuses, is asked again after 1 to 60 seconds, spread at random.
 */
export function startAsker(o: AskerOptions): Asker {
  const signal = createSignal();
  const backoff = createBackoff({ ...BACKOFF, random: o.random });
  let stopped = false;
  let endPause = () => {};
  let cancelHeartbeat = () => {};

  async function run(): Promise<void> {
    for (;;) {
      await signal.wait();
      if (stopped) return;
      const isDone = await roundSafely();
      if (isDone) backoff.reset();
      else {
        await pause(backoff.next());
        signal.raise();
      }
    }
  }

  /** @returns false when it is to be tried again. */
  async function roundSafely(): Promise<boolean> {
    try {
      return await round();
    } catch (error) {
      o.logger.error({ err: error, witness: o.member.name, book: o.log.book }, "asking a witness failed");
      return false;
    }
  }

  async function round(): Promise<boolean> {
    const { log, member, progress, carry } = o;
    const checkpoint = log.latest();
    if (checkpoint === null || !progress.isDue(checkpoint, o.now(), HEARTBEAT_MS)) return true;
    const outcome = await askForCosignature({
      log,
      checkpoint,
      key: member.key,
      known: progress.size() ?? 0,
      carry,
      onSize: (size) => progress.learned(size),
    });
    if (stopped) return true;
    if (outcome.kind === "cosigned") progress.cosigned(checkpoint, o.now());
    else progress.failed(sentenceOf(outcome), o.now());
    await o.onOutcome(outcome);
    if (outcome.kind !== "cosigned") return false;
    cancelHeartbeat();
    cancelHeartbeat = o.after(HEARTBEAT_MS, () => signal.raise());
    return true;
  }

  function pause(ms: number): Promise<void> {
    if (stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = o.after(ms, resolve);
      endPause = () => {
        cancel();
        resolve();
      };
    });
  }

  const running = run();
  signal.raise();
  return {
    wake: () => signal.raise(),
    retry() {
      backoff.reset();
      endPause();
      signal.raise();
    },
    stop() {
      stopped = true;
      cancelHeartbeat();
      endPause();
      signal.raise();
      return running;
    },
  };
}

function sentenceOf(outcome: Exclude<Outcome, { kind: "cosigned" }>): string {
  if (outcome.kind === "ahead") return `it has cosigned ${outcome.size} records, more than the log has`;
  if (outcome.kind === "conflict") return `it answers that the log contradicts itself: ${outcome.why}`;
  if (outcome.kind === "unproven")
    return `it says that it has cosigned ${outcome.size} records, more than the log has, and does not prove it`;
  return outcome.why;
}
