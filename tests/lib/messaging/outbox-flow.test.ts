import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { EventBatch, ReceiptBatch } from "../../../lib/contracts/events.ts";
import { type EventReceiver, receiveEvents } from "../../../lib/messaging/event-receiver.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import {
  createOutboxSender,
  type OutboxSender,
  type OutboxSenderOptions,
} from "../../../lib/messaging/outbox-sender.ts";
import type { Refused } from "../../../lib/messaging/refused.ts";
import { recordLog } from "../../support/log-lines.ts";
import { startAedes } from "../../support/plain-broker.ts";
import { SILENT } from "../../support/silent.ts";
import { watch } from "../../support/until.ts";
import { memoryBook, recordsOf } from "./memory-book.ts";
import { memoryOutbox, type MemoryOutbox } from "./memory-outbox.ts";
import { connect } from "./open.ts";

type Receive = (from: string, batch: EventBatch) => Promise<ReceiptBatch>;

function send(link: Link, outbox: MemoryOutbox, options: Partial<OutboxSenderOptions> = {}): OutboxSender {
  const owner = { kind: "machines", name: link.name } as const;
  const sender = createOutboxSender({ link, outbox, owner, log: SILENT, now: Date.now, ...options });
  sender.start();
  onTestFinished(() => sender.stop());
  return sender;
}

async function receive(link: Link, take: Receive): Promise<EventReceiver> {
  const receiver = await receiveEvents({ link, book: "production", receive: take, onRefused: () => {}, log: SILENT });
  onTestFinished(() => receiver.close());
  return receiver;
}

const allSettled = (outbox: MemoryOutbox) =>
  outbox.settled.until((receipts) => new Set(receipts.map((receipt) => receipt.id)).size === outbox.ids().length);

/* The flow over real brokers, with real stores and fail-over, is tests/suites/fail-over.ts. */
describe("outbox to receipt", () => {
  it("sends again when receipts are lost, and the book counts once", async () => {
    const { url } = await startAedes();
    const book = memoryBook();
    let lost = 3;
    await receive(await connect(url, "production"), async (from, batch) => {
      const receipts = await book.receive(from, batch);
      if ((lost -= 1) >= 0) throw new Error("the service dies between the write and its receipts");
      return receipts;
    });
    const outbox = memoryOutbox();
    outbox.stage(300);
    const sender = send(await connect(url, "ipc-1"), outbox, { receiptTimeoutMs: 50 });
    await allSettled(outbox);
    expect(book.records.value).toEqual(recordsOf("ipc-1", 300));
    expect(sender.state().timeouts).toBeGreaterThan(0);
  });

  it("goes back to settled events when a restored book asks for them", async () => {
    const { url } = await startAedes();
    const book = memoryBook();
    await receive(await connect(url, "production"), book.receive);
    const outbox = memoryOutbox();
    const sender = send(await connect(url, "ipc-1"), outbox);
    outbox.stage(200);
    await allSettled(outbox);
    book.forgetAfter(50);
    outbox.stage(10);
    await allSettled(outbox);
    expect(book.records.value).toEqual(recordsOf("ipc-1", 210));
    expect(sender.state().resends).toBe(1);
  });

  it("is asked by a receiver that begins for what it had sent to nobody", async () => {
    const { url } = await startAedes();
    const book = memoryBook();
    const outbox = memoryOutbox();
    const first = await connect(url, "production");
    await receive(first, book.receive);
    const sender = send(await connect(url, "ipc-1"), outbox, { receiptTimeoutMs: 600_000 });
    outbox.stage(20);
    await allSettled(outbox);
    await first.close();
    outbox.stage(20);
    await vi.waitFor(() => expect(sender.state().batches).toBe(2));
    const due = async () => [{ kind: "machine" as const, name: "ipc-1", epoch: outbox.epoch, next: 21 }];
    const link = await connect(url, "production");
    await receiveEvents({ link, book: "production", receive: book.receive, due, onRefused: () => {}, log: SILENT });
    await allSettled(outbox);
    expect(book.records.value).toEqual(recordsOf("ipc-1", 40));
    expect(sender.state()).toMatchObject({ resends: 1, timeouts: 0 });
  });

  it("starts at the floor when older events are asked for than it has", async () => {
    const { url } = await startAedes();
    const outbox = memoryOutbox({ floor: 101 });
    const batches = watch<EventBatch[]>([]);
    await receive(await connect(url, "production"), async (_from, batch) => {
      batches.value.push(batch);
      batches.changed();
      return { v: 1, epoch: batch.epoch, receipts: [], ...(batches.value.length === 1 ? { resend: { from: 1 } } : {}) };
    });
    send(await connect(url, "ipc-1"), outbox);
    outbox.stage(5);
    await batches.until((value) => value.length === 2);
    expect(batches.value.map((batch) => batch.floor)).toEqual([101, 101]);
    expect(outbox.reads).toEqual(["101-105", "101-105"]);
  });

  it("takes one batch of a sender at a time, lets twelve wait, and drops the others as busy", async () => {
    const { url } = await startAedes();
    const book = memoryBook();
    const { log, watched } = recordLog();
    let open = () => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    const slow: Receive = async (from, batch) => {
      await opened;
      return book.receive(from, batch);
    };
    const link = await connect(url, "production");
    const receiver = await receiveEvents({ link, book: "production", receive: slow, onRefused: () => {}, log });
    const machine = await connect(url, "ipc-1");
    for (let dseq = 1; dseq <= 20; dseq += 1) {
      const batch = { v: 1, epoch: "00000000000000e1", floor: 1, events: [{ event: { id: `event-${dseq}`, dseq } }] };
      await machine.publish("machines/ipc-1/events/production", JSON.stringify(batch), { qos: 1 });
    }
    await watched.until((lines) => lines.filter((line) => line["code"] === "busy").length === 7);
    expect(receiver.state()).toMatchObject({ waiting: 12, dropped: 7 });
    open();
    await book.records.until((records) => records.length === 13);
    await receiver.close();
    expect(receiver.state()).toMatchObject({ waiting: 0, batches: 13 });
  });

  it("refuses what is no batch, with the sender's name, and takes the next", async () => {
    const { url } = await startAedes();
    const book = memoryBook();
    const refused: Refused[] = [];
    const { log, lines } = recordLog();
    const link = await connect(url, "production");
    const onRefused = (refusal: Refused) => refused.push(refusal);
    const receiver = await receiveEvents({ link, book: "production", receive: book.receive, onRefused, log });
    const machine = await connect(url, "ipc-1");
    await machine.publish("machines/ipc-1/events/production", "{not json", { qos: 1 });
    await machine.publish("machines/ipc-1/events/production", '{"v":1}', { qos: 1 });
    const outbox = memoryOutbox();
    outbox.stage(1);
    send(machine, outbox);
    await allSettled(outbox);
    expect(refused.map(({ topic, from, code }) => ({ topic, from, code }))).toEqual([
      { topic: "machines/ipc-1/events/production", from: "ipc-1", code: "malformed" },
      { topic: "machines/ipc-1/events/production", from: "ipc-1", code: "schema" },
    ]);
    expect(lines.map((line) => line["payload"])).toEqual(["{not json", '{\\"v\\":1}']);
    expect(receiver.state()).toMatchObject({ refused: 2, batches: 1, waiting: 0 });
  });

  it("waits with the sending when receipts may not be read, and says why", async () => {
    const { url } = await startAedes({ subscribe: (filter) => !filter.includes("/receipts/") });
    const outbox = memoryOutbox();
    outbox.stage(1);
    const { log, lines } = recordLog();
    const link = await connect(url, "ipc-1", { log });
    const sender = send(link, outbox, { log });
    await link.subscribe("x", () => {});
    expect(sender.state()).toMatchObject({ batches: 0, lastError: expect.stringContaining("receipts/production") });
    expect(lines.some((line) => line["code"] === "not_allowed")).toBe(true);
  });
});
