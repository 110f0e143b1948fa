/** Gives items in batches when they are due. */
export type Pace<T> = AsyncIterable<T[]>;

/** The longest single wait, ms: a timer holds no more than 24 days. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Spaces items by the gaps between their times, so many times as fast as they came; all at once when `speed` is null.
 * What is due at the same time goes in one batch of at most `batch`. An item that is late is sent at once, and those
 * behind it keep their own times.
 *
 * @param o.items - in the order of their times.
 */
export async function* paced<T extends { at: string }>(o: {
  items: readonly T[];
  speed: number | null;
  batch: number;
  now: () => number;
  wait: (ms: number) => Promise<void>;
}): Pace<T> {
  const begun = o.now();
  const first = Date.parse(o.items[0]?.at ?? "");
  const dueAt = (item: T) => (o.speed === null ? begun : begun + (Date.parse(item.at) - first) / o.speed);
  for (let from = 0; from < o.items.length;) {
    const due = dueAt(o.items[from] as T);
    for (let left = due - o.now(); left > 0; left = due - o.now())
      await o.wait(Math.min(Math.ceil(left), LONGEST_WAIT_MS));
    let to = from + 1;
    while (to < o.items.length && to - from < o.batch && dueAt(o.items[to] as T) <= o.now()) to += 1;
    yield o.items.slice(from, to);
    from = to;
  }
}
