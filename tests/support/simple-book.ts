import { createHash } from "node:crypto";
import { type EventBatch, type Receipt, SignedEvent } from "../../lib/contracts/events.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { receiveEvents } from "../../lib/messaging/event-receiver.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { SILENT } from "./silent.ts";
import { type Watched, watch } from "./until.ts";

/** A book's service at its simplest: everything that arrives is booked, each event once, in order. */
export async function bookEverything(link: Link, book: BookName): Promise<Watched<SignedEvent[]>> {
  const booked = watch<SignedEvent[]>([]);
  const ids = new Set<string>();
  const receive = async (_from: string, batch: EventBatch) => {
    const events = batch.events.map((event) => SignedEvent.parse(event));
    for (const signed of events) if (!ids.has(signed.event.id)) booked.value.push(signed);
    for (const { event } of events) ids.add(event.id);
    booked.changed();
    return { v: 1 as const, epoch: batch.epoch, receipts: events.map(({ event }) => receiptOf(event.id, book)) };
  };
  await receiveEvents({ link, book, receive, onRefused: () => undefined, log: SILENT });
  return booked;
}

function receiptOf(id: string, book: BookName): Receipt {
  return { id, status: "booked", book, seq: 0, leaf: createHash("sha256").update(id).digest("hex") };
}
