import type { Logger } from "pino";
import { RastroError, toProblem } from "../contracts/errors.ts";
import { EventBatch, type ReceiptBatch } from "../contracts/events.ts";
import type { BookName } from "../contracts/names.ts";
import { parseJson } from "../contracts/parse.ts";
import { filters, type OutboxOwner, parseEvents, topics } from "../contracts/topics.ts";
import type { Link } from "./link.ts";
import { firstBytes, type Refused, refusedOf } from "./refused.ts";

/** An outbox that events came from before, and the dseq that is due from it. */
export type DueSender = { kind: "machine" | "service"; name: string; epoch: string; next: number };

/** Counters since the start. */
export type ReceiverState = { batches: number; refused: number; dropped: number; failed: number; waiting: number };

export type EventReceiver = {
  state(): ReceiverState;
  /** Takes no more batches and waits for those that are being written. */
  close(): Promise<void>;
};

/** Batches of one sender that may wait: its window twice, since after a reconnection it begins again. */
const WAITING_PER_SENDER = 12;

/** Batches of all senders together that may wait: with 64 KiB each, 64 MiB. */
const WAITING_IN_ALL = 1024;

type Queue = { owner: OutboxOwner; batches: EventBatch[]; working: Promise<void> };

/**
 * Takes the batches of every outbox of a book and answers with receipts: one batch of a sender at a time and in
 * order, different senders side by side.
 *
 * A batch that cannot be taken now (too much waits, or taking it in fails) is dropped and logged, and no receipt is
 * given: its sender has it on disk and sends it again. Receipts that cannot be sent are dropped for the same reason.
 *
 * @param o.receive - resolves after the synced write; `from` is the name that the broker vouches for.
 * @param o.due - asked once, at the start. Each of these senders is told what is due next: what it sent while nobody
 *   received it sends again at once, and not when it notices the silence.
 * @param o.onRefused - a batch that is no batch; its sender was authenticated by the broker.
 * @throws RastroError `not_allowed` when the broker does not let this service have the book's events.
 */
export async function receiveEvents(o: {
  link: Link;
  book: BookName;
  receive: (from: string, batch: EventBatch) => Promise<ReceiptBatch>;
  due?: () => Promise<DueSender[]>;
  onRefused: (refused: Refused) => void;
  log: Logger;
}): Promise<EventReceiver> {
  const queues = new Map<string, Queue>();
  const counts = { batches: 0, refused: 0, dropped: 0, failed: 0, waiting: 0 };
  let closed = false;

  function take(topic: string, payload: Buffer): void {
    const parsed = parseEvents(topic);
    if (parsed === null || closed) return;
    const batch = readBatch(topic, parsed.owner, payload);
    if (batch) enqueue(parsed.owner, batch);
  }

  function readBatch(topic: string, owner: OutboxOwner, payload: Buffer): EventBatch | null {
    try {
      return parseJson(EventBatch, payload, `the batch of ${owner.name}`);
    } catch (thrown) {
      const error = thrown instanceof RastroError ? thrown : new RastroError(toProblem(thrown));
      counts.refused += 1;
      o.log.warn({ topic, code: error.code, payload: firstBytes(payload) }, error.message);
      o.onRefused(refusedOf(topic, owner.name, error));
      return null;
    }
  }

  function enqueue(owner: OutboxOwner, batch: EventBatch): void {
    const key = `${owner.kind}/${owner.name}`;
    const queue = queues.get(key);
    if (counts.waiting >= WAITING_IN_ALL || (queue && queue.batches.length >= WAITING_PER_SENDER)) {
      counts.dropped += 1;
      o.log.warn(
        { from: key, code: "busy", waiting: counts.waiting },
        "a batch is dropped: too much waits; its sender will send it again",
      );
      return;
    }
    counts.waiting += 1;
    if (queue) {
      queue.batches.push(batch);
      return;
    }
    const made: Queue = { owner, batches: [batch], working: Promise.resolve() };
    queues.set(key, made);
    made.working = work(key, made);
  }

  async function work(key: string, queue: Queue): Promise<void> {
    for (let batch = queue.batches.shift(); batch !== undefined; batch = queue.batches.shift()) {
      counts.waiting -= 1;
      await receiveOne(queue.owner, batch);
    }
    queues.delete(key);
  }

  async function receiveOne(owner: OutboxOwner, batch: EventBatch): Promise<void> {
    try {
      const receipts = await o.receive(owner.name, batch);
      counts.batches += 1;
      await o.link.publish(topics.receipts(owner, o.book), JSON.stringify(receipts), { qos: 1 });
    } catch (error) {
      counts.failed += 1;
      const { code, message } = toProblem(error);
      const err = error instanceof RastroError ? undefined : error;
      o.log.error({ from: owner.name, code, err }, `a batch got no receipts: ${message}`);
    }
  }

  async function askForDue(): Promise<void> {
    try {
      for (const { kind, name, epoch, next } of (await o.due?.()) ?? []) {
        if (closed) return;
        const batch: ReceiptBatch = { v: 1, epoch, receipts: [], resend: { from: next } };
        const topic = topics.receipts({ kind: `${kind}s`, name }, o.book);
        await o.link.publish(topic, JSON.stringify(batch), { qos: 1 });
      }
    } catch (error) {
      // They send again by themselves, when they notice the silence or the new connection.
      o.log.info({ code: toProblem(error).code }, "not every sender was asked for what is due");
    }
  }

  await o.link.subscribe(filters.eventsFor(o.book), take);
  const asking = askForDue();
  return {
    state: () => ({ ...counts }),
    async close() {
      closed = true;
      for (const queue of queues.values()) counts.waiting -= queue.batches.splice(0).length;
      await Promise.all([asking, ...[...queues.values()].map((queue) => queue.working)]);
    },
  };
}
