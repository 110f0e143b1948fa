import type { EventBatch, Receipt, ReceiptBatch } from "../../../lib/contracts/events.ts";
import { watch, type Watched } from "../../support/until.ts";

type Small = { id: string; dseq: number };

export type MemoryBook = {
  receive(from: string, batch: EventBatch): Promise<ReceiptBatch>;
  /** Sender and dseq of each record, in the order of the book: `ipc-1/7`. */
  records: Watched<string[]>;
  /** Forgets all but the first records, as a book that was restored from a backup. */
  forgetAfter(count: number): void;
};

/** A receiver's book in memory: strict order per sender, each event once, and a resend asked for at a gap. */
export function memoryBook(): MemoryBook {
  const records = watch<string[]>([]);

  const last = (from: string) => records.value.filter((record) => record.startsWith(`${from}/`)).length;

  function receiptOf(from: string, event: Small): Receipt {
    const seq = records.value.indexOf(`${from}/${event.dseq}`);
    return { id: event.id, status: "booked", book: "production", seq, leaf: "0".repeat(64) };
  }

  return {
    records,
    forgetAfter(count) {
      records.value.splice(count);
    },
    async receive(from, batch) {
      const receipts: Receipt[] = [];
      for (const { event } of batch.events as { event: Small }[]) {
        if (event.dseq > last(from) + 1)
          return { v: 1, epoch: batch.epoch, receipts, resend: { from: last(from) + 1 } };
        if (event.dseq === last(from) + 1) records.value.push(`${from}/${event.dseq}`);
        receipts.push(receiptOf(from, event));
      }
      records.changed();
      return { v: 1, epoch: batch.epoch, receipts };
    },
  };
}

/** The records of one sender in order: `ipc-1/1` to `ipc-1/<count>`. */
export function recordsOf(from: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${from}/${index + 1}`);
}
