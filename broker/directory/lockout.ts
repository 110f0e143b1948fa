const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15 * 60_000;
const FORGOTTEN_AFTER_MS = 60 * 60_000;
const MAXIMUM_PAIRS = 10_000;

type Pair = { failures: number; lastAt: number };

/** Counts failed sign-ins per user and address, and says how long the pair has to wait before the next try is looked at. */
export interface Lockout {
  /** Milliseconds to wait; 0 when the next try is looked at. */
  wait(user: string, address: string): number;
  failed(user: string, address: string): void;
  succeeded(user: string, address: string): void;
}

/**
 * Five failures are free; from then on each doubles the wait, from one second to a quarter of an hour. A pair is
 * forgotten an hour after its last failure. Per pair, because a lock per user would let anybody lock anybody out.
 */
export function createLockout(now: () => number): Lockout {
  const pairs = new Map<string, Pair>();
  const keyOf = (user: string, address: string) => `${user}\n${address}`;
  return {
    wait(user, address) {
      const pair = pairs.get(keyOf(user, address));
      return pair === undefined ? 0 : Math.max(0, pair.lastAt + waitAfter(pair.failures) - now());
    },
    failed(user, address) {
      const key = keyOf(user, address);
      const before = pairs.get(key);
      const fresh = before === undefined || now() - before.lastAt > FORGOTTEN_AFTER_MS;
      // Deleted first, so that the map stays in the order of the last failure and the oldest pair is the first.
      pairs.delete(key);
      pairs.set(key, { failures: fresh ? 1 : before.failures + 1, lastAt: now() });
      if (pairs.size > MAXIMUM_PAIRS) pairs.delete(pairs.keys().next().value ?? key);
    },
    succeeded(user, address) {
      pairs.delete(keyOf(user, address));
    },
  };
}

function waitAfter(failures: number): number {
  if (failures < FREE_FAILURES) return 0;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - FREE_FAILURES, 20));
}
