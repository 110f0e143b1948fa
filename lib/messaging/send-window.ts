/** An event that was sent and has no receipt yet. */
type Sent = { id: string; dseq: number };

/** Which events of an outbox are on their way. Pure bookkeeping: the next dseq to read, and what awaits a receipt. */
export type SendWindow = {
  /** The next dseq to read; null: from the first that waits. */
  readonly cursor: number | null;
  readonly inFlight: number;
  /** Grows with each step back: what was sent before it says nothing any more. */
  readonly generation: number;
  sent(events: readonly Sent[]): void;
  /** @returns how many of the ids were awaited. */
  received(ids: readonly string[]): number;
  /** Back to the oldest event without a receipt, or to `from` if that is older still. */
  stepBack(from?: number): void;
};

export function createSendWindow(): SendWindow {
  const awaited = new Map<string, number>();
  let cursor: number | null = null;
  let generation = 0;

  return {
    get cursor() {
      return cursor;
    },
    get inFlight() {
      return awaited.size;
    },
    get generation() {
      return generation;
    },
    sent(events) {
      for (const event of events) awaited.set(event.id, event.dseq);
      const last = events.at(-1);
      if (last) cursor = last.dseq + 1;
    },
    received: (ids) => ids.filter((id) => awaited.delete(id)).length,
    stepBack(from) {
      const candidates = [...awaited.values(), ...(from === undefined ? [] : [from]), ...(cursor === null ? [] : [cursor])];
      if (candidates.length > 0) cursor = Math.min(...candidates);
      awaited.clear();
      generation += 1;
    },
  };
}
