/** How often something may be done: so many times at once, and so many times a second in the long run. */
export type Rate = { burst: number; perSecond: number };

/** Counts how often each of many does something. */
export interface Rates {
  /** It is about to be done once more. @returns false when that is too often; it does not count then. */
  take(name: string): boolean;
}

/**
 * A token bucket for each name. Whose bucket is full again is forgotten, so that no more are kept than came within the
 * time in which one fills.
 *
 * @param clock - ms that only go forward.
 */
export function createRates({ burst, perSecond }: Rate, clock: () => number): Rates {
  /** Whoever took last stands last. */
  const buckets = new Map<string, { left: number; at: number }>();
  const filledMs = (burst / perSecond) * 1000;

  function forgetFull(now: number): void {
    for (const [name, { at }] of buckets) {
      if (now - at < filledMs) return;
      buckets.delete(name);
    }
  }

  return {
    take(name) {
      const now = clock();
      forgetFull(now);
      const { left, at } = buckets.get(name) ?? { left: burst, at: now };
      const filled = Math.min(burst, left + ((now - at) * perSecond) / 1000);
      if (filled < 1) return false;
      buckets.delete(name);
      buckets.set(name, { left: filled - 1, at: now });
      return true;
    },
  };
}
