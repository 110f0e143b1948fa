/** An event that was sent and has no receipt yet. */
type Sent = { id: string; dseq: number };

/** Which events of an outbox are on their way. Pure bookkeeping: the next dseq to read, and what awaits a receipt. */
export type SendWindow = {
  /** The next dseq to read; null: from the first that waits. */
  readonly cursor: number | null;
  /** Events without a receipt. */
  readonly events: number;
  /** Batches that hold such an event. */
  readonly batches: number;
  /** Grows with each step back: what was sent before it says nothing any more. */
  readonly generation: number;
  sent(batch: readonly Sent[]): void;
  /** @returns how many of the ids were awaited. */
  received(ids: readonly string[]): number;
  /** Back to the oldest event without a receipt, or to `from` if that is older still. */
  stepBack(from?: number): void;
};

export function createSendWindow(): SendWindow {
  const awaited = new Map<string, { dseq: number; batch: Set<string> }>();
  const batches = new Set<Set<string>>();
  let cursor: number | null = null;
  let generation = 0;

  function receive(id: string): boolean {
    const event = awaited.get(id);
    if (event === undefined) return false;
    awaited.delete(id);
    event.batch.delete(id);
    if (event.batch.size === 0) batches.delete(event.batch);
    return true;
  }

  return {
    get cursor() {
      return cursor;
    },
    get events() {
      return awaited.size;
    },
    get batches() {
      return batches.size;
    },
    get generation() {
      return generation;
    },
    sent(events) {
      const batch = new Set(events.map((event) => event.id));
      batches.add(batch);
      for (const { id, dseq } of events) awaited.set(id, { dseq, batch });
      const last = events.at(-1);
      if (last) cursor = last.dseq + 1;
    },
    received: (ids) => ids.filter(receive).length,
    stepBack(from) {
      const candidates = [...awaited.values()].map((event) => event.dseq);
      if (from !== undefined) candidates.push(from);
      if (cursor !== null) candidates.push(cursor);
      if (candidates.length > 0) cursor = Math.min(...candidates);
      awaited.clear();
      batches.clear();
      generation += 1;
    },
  };
}
