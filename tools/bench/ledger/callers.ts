/** What callers got done: calls, calls a second, and how long one of them waited. */
export type Pace = { calls: number; perSecond: number; p50Ms: number; p99Ms: number };

/**
 * Keeps `callers` loops going, each of which awaits its own call before it makes the next; ends after so many seconds.
 * What was prepared is gone through again and again; each call has a number of its own, from `first` on.
 */
export async function callFor<T>(o: {
  callers: number;
  seconds: number;
  prepared: readonly T[];
  first: number;
  call: (one: T, n: number) => Promise<unknown>;
}): Promise<Pace> {
  const took: number[] = [];
  let next = o.first;
  const begun = performance.now();
  const end = begun + o.seconds * 1000;
  const loop = async () => {
    for (let started = begun; started < end; started = performance.now()) {
      const n = next;
      next += 1;
      await o.call(o.prepared[n % o.prepared.length] as T, n);
      took.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: o.callers }, loop));
  const span = (performance.now() - begun) / 1000;
  took.sort((a, b) => a - b);
  return { calls: took.length, perSecond: took.length / span, p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
}

/** The value below which so large a share of the sorted values lies. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
