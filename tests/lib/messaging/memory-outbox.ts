import type { Receipt } from "../../../lib/contracts/events.ts";
import type { OutboxPort } from "../../../lib/messaging/outbox-port.ts";
import { watch, type Watched } from "../../support/until.ts";

export type MemoryOutbox = OutboxPort & {
  /** Stages so many events more. */
  stage(count: number): void;
  /** Ids with their receipts, in order of settling; the same id more than once when it was settled again. */
  settled: Watched<Receipt[]>;
  ids(): string[];
  /** Every range that was read, as `from-to`. */
  reads: string[];
};

/** An outbox in memory that knows no disk. The events hold just what a receiver's test looks at. */
export function memoryOutbox(o: { floor?: number } = {}): MemoryOutbox {
  const events: { dseq: number; id: string; text: string }[] = [];
  const receipts = new Map<string, Receipt>();
  const listeners: (() => void)[] = [];
  const settled = watch<Receipt[]>([]);
  const reads: string[] = [];
  const floor = o.floor ?? 1;

  return {
    book: "production",
    epoch: "00000000000000e1",
    floor: () => floor,
    newestSettled: () => (events.every(({ id }) => receipts.has(id)) ? (events.at(-1)?.dseq ?? null) : null),
    settled,
    reads,
    ids: () => events.map((event) => event.id),
    stage(count) {
      for (let added = 0; added < count; added += 1) {
        const dseq = events.length + floor;
        const id = `event-${dseq}`;
        events.push({ dseq, id, text: JSON.stringify({ event: { id, dseq }, sig: null }) });
      }
      for (const listener of listeners) listener();
    },
    async read({ from, maxEvents }) {
      const first = from ?? events.find((event) => !receipts.has(event.id))?.dseq ?? events.length + floor;
      const found = events.filter((event) => event.dseq >= first).slice(0, maxEvents);
      if (found.length > 0) reads.push(`${found[0]?.dseq}-${found.at(-1)?.dseq}`);
      return found;
    },
    async settle(given) {
      for (const receipt of given) receipts.set(receipt.id, receipt);
      settled.value.push(...given);
      settled.changed();
    },
    onStaged: (listener) => void listeners.push(listener),
  };
}
