import type { After } from "./timing.ts";

export interface Repeats {
  /** Runs `run` after a while; what is already on its way is enough. */
  request(run: () => void): void;
  /** It is as it should be: what was on its way is not needed any more. */
  settle(): void;
}

const FIRST_MS = 100;
const LONGEST_MS = 60_000;
/** After so long without a request the next one is a matter of its own. */
const QUIET_MS = 300_000;

/**
 * Spaces repeats: the first after 100 ms, each further one after twice as long as the one before, up to a minute,
 * until five minutes have passed without any.
 */
export function createRepeats({ after, clock }: { after: After; clock: () => number }): Repeats {
  let wait = FIRST_MS;
  let last = Number.NEGATIVE_INFINITY;
  let cancel: (() => void) | null = null;
  return {
    request: (run) => {
      if (cancel !== null) return;
      if (clock() - last > QUIET_MS) wait = FIRST_MS;
      cancel = after(wait, () => {
        cancel = null;
        run();
      });
      wait = Math.min(LONGEST_MS, wait * 2);
      last = clock();
    },
    settle: () => {
      cancel?.();
      cancel = null;
    },
  };
}
