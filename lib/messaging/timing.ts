/** Runs `task` once after `ms`; the returned function cancels it. Injected, so that tests need not wait. */
export type After = (ms: number, task: () => void) => () => void;

/** The system's own timer. */
export const after: After = (ms, task) => {
  const timer = setTimeout(task, ms);
  return () => clearTimeout(timer);
};

/** Resolves when `work` has ended, or after `ms` if it goes on. @throws what `work` rejects with before that. */
export async function within(ms: number, work: Promise<void>, after: After): Promise<void> {
  let cancel = () => {};
  const over = new Promise<void>((resolve) => (cancel = after(ms, resolve)));
  try {
    await Promise.race([work, over]);
  } finally {
    cancel();
  }
}

export type Backoff = { next(): number; reset(): void };

/**
 * Pauses between attempts: doubling from `minimumMs` to `maximumMs`, each spread over its upper half, so that a
 * thousand clients of a hub that restarts do not come back in the same instant.
 */
export function createBackoff(o: { minimumMs: number; maximumMs: number; random: (bytes: number) => Buffer }): Backoff {
  let attempt = 0;
  return {
    next() {
      const whole = Math.min(o.maximumMs, o.minimumMs * 2 ** attempt);
      attempt = Math.min(attempt + 1, 30);
      return Math.round((whole * (1 + o.random(4).readUInt32BE() / 2 ** 32)) / 2);
    },
    reset() {
      attempt = 0;
    },
  };
}

/** Something that happened and that one loop waits for. Raised while nobody waits, the next wait returns at once. */
export type Signal = { raise(): void; wait(): Promise<void> };

export function createSignal(): Signal {
  let raised = false;
  let wake: (() => void) | null = null;
  return {
    raise() {
      raised = true;
      wake?.();
    },
    async wait() {
      if (!raised) await new Promise<void>((resolve) => (wake = resolve));
      wake = null;
      raised = false;
    },
  };
}
