import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { EventBatch, Receipt } from "../../../lib/contracts/events.ts";
import { createOutboxSender, type OutboxSender } from "../../../lib/messaging/outbox-sender.ts";
import { SILENT } from "../../support/silent.ts";
import { type FakeLink, fakeLink, fakeTimers, type Published, settled } from "./fake-link.ts";
import { memoryBook, recordsOf } from "./memory-book.ts";
import { memoryOutbox, type MemoryOutbox } from "./memory-outbox.ts";

const RECEIPTS = "machines/ipc-1/receipts/production";

type Bench = { link: FakeLink; outbox: MemoryOutbox; sender: OutboxSender; timers: ReturnType<typeof fakeTimers> };

function bench(o: { staged: number; windowEvents?: number; batchEvents?: number; gatherMs?: number }): Bench {
  const link = fakeLink("ipc-1");
  const outbox = memoryOutbox();
  const timers = fakeTimers();
  outbox.stage(o.staged);
  const sender = createOutboxSender({
    link,
    outbox,
    owner: { kind: "machines", name: "ipc-1" },
    log: SILENT,
    now: () => 0,
    windowEvents: o.windowEvents ?? 40,
    batchEvents: o.batchEvents ?? 10,
    gatherMs: o.gatherMs ?? 0,
    after: timers.after,
  });
  sender.start();
  return { link, outbox, sender, timers };
}

/** `first-last` of each batch that was published. */
const ranges = (link: FakeLink) => link.published.map(rangeOf);

function rangeOf(published: Published): string {
  const { events } = JSON.parse(published.payload) as EventBatch;
  const dseqs = (events as { event: { dseq: number } }[]).map(({ event }) => event.dseq);
  return `${dseqs[0]}-${dseqs.at(-1)}`;
}

function receipts(first: number, last: number): Receipt[] {
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    id: `event-${first + index}`,
    status: "booked",
    book: "production",
    seq: first + index,
    leaf: "0".repeat(64),
  }));
}

function answer(link: FakeLink, first: number, last: number, resend?: number): void {
  const found = first <= last ? receipts(first, last) : [];
  const epoch = "00000000000000e1";
  link.deliver(RECEIPTS, {
    v: 1,
    epoch,
    receipts: found,
    ...(resend === undefined ? {} : { resend: { from: resend } }),
  });
}

describe("an outbox sender", () => {
  it("sends in order, a window ahead of the receipts and no further", async () => {
    const { link, outbox } = bench({ staged: 100 });
    await settled();
    expect(ranges(link)).toEqual(["1-10", "11-20", "21-30", "31-40"]);
    answer(link, 1, 10);
    await settled();
    expect(ranges(link).slice(4)).toEqual(["41-50"]);
    expect(outbox.settled.value).toHaveLength(10);
  });

  it("names epoch and floor in each batch", async () => {
    const { link } = bench({ staged: 1 });
    await settled();
    expect(JSON.parse(link.published[0]?.payload ?? "")).toMatchObject({ v: 1, epoch: "00000000000000e1", floor: 1 });
    expect(link.published[0]?.topic).toBe("machines/ipc-1/events/production");
  });

  it("waits for the broker's acknowledgement of four batches", async () => {
    const { link } = bench({ staged: 100, windowEvents: 100, batchEvents: 5 });
    link.acknowledging = false;
    await settled();
    expect(link.published).toHaveLength(4);
    link.published[0]?.acknowledge();
    await settled();
    expect(link.published).toHaveLength(5);
  });

  it("has at most six batches without a receipt", async () => {
    const { link } = bench({ staged: 100, windowEvents: 100, batchEvents: 5 });
    await settled();
    expect(link.published).toHaveLength(6);
  });

  it("sends what is staged later as it comes", async () => {
    const { link, outbox } = bench({ staged: 0 });
    await settled();
    expect(link.published).toHaveLength(0);
    outbox.stage(3);
    await settled();
    outbox.stage(2);
    await settled();
    expect(ranges(link)).toEqual(["1-3", "4-5"]);
  });

  it("goes back to the oldest without a receipt after a reconnection", async () => {
    const { link } = bench({ staged: 40 });
    await settled();
    answer(link, 1, 10);
    await settled();
    link.down();
    link.up();
    await settled();
    expect(ranges(link).slice(4)).toEqual(["11-20", "21-30", "31-40"]);
  });

  it("does so after silence too, but not while receipts come, and then probes with a few", async () => {
    const { link, timers, sender } = bench({ staged: 100 });
    await settled();
    expect(timers.pending()).toEqual([5000]);
    answer(link, 1, 10);
    await settled();
    expect(timers.pending()).toEqual([5000]);
    timers.next();
    await settled();
    expect(ranges(link).slice(5)).toEqual(["11-20", "21-26"]);
    expect(sender.state()).toMatchObject({ timeouts: 1, lastError: "no receipt of production came within 5000 ms" });
    const waits = [];
    for (let silence = 0; silence < 3; silence += 1) {
      waits.push(timers.next());
      await settled();
    }
    expect(waits).toEqual([10_000, 15_000, 15_000]);
    answer(link, 11, 26);
    await settled();
    expect(sender.state().lastError).toBeNull();
    expect(ranges(link).at(-1)).toBe("57-66");
  });

  it("asks with its newest event what a receiver lacks, with each connection and until there is a receipt", async () => {
    const { link, timers, sender } = bench({ staged: 20 });
    await settled();
    answer(link, 1, 20);
    await settled();
    link.down();
    link.up();
    await settled();
    expect(ranges(link).slice(2)).toEqual(["20-20"]);
    timers.next();
    await settled();
    expect(ranges(link).slice(3)).toEqual(["20-20"]);
    // A receiver that was restored to its first ten.
    answer(link, 1, 0, 11);
    await settled();
    expect(ranges(link).slice(4)).toEqual(["11-20"]);
    answer(link, 11, 20);
    await settled();
    expect(sender.state()).toMatchObject({ inFlight: 0, lastError: null });
    expect(timers.pending()).toEqual([]);
  });

  it("asks so too when the receiver does not know its epoch, but not while something awaits a receipt", async () => {
    const { link } = bench({ staged: 5 });
    await settled();
    const ask = { v: 1, epoch: "0".repeat(16), receipts: [], resend: { from: 1 } };
    link.deliver(RECEIPTS, ask);
    await settled();
    expect(ranges(link)).toEqual(["1-5"]);
    answer(link, 1, 5);
    await settled();
    link.deliver(RECEIPTS, ask);
    await settled();
    expect(ranges(link)).toEqual(["1-5", "5-5"]);
    // Receipts for another epoch are none of this outbox's.
    link.deliver(RECEIPTS, { v: 1, epoch: "0".repeat(16), receipts: receipts(5, 5) });
    await settled();
    expect(ranges(link)).toEqual(["1-5", "5-5"]);
  });

  it("honours the first of several askings for the same range", async () => {
    const { link, sender } = bench({ staged: 40 });
    await settled();
    for (let asking = 0; asking < 3; asking += 1) answer(link, 1, 0, 11);
    answer(link, 1, 10);
    await settled();
    expect(sender.state().resends).toBe(1);
    const again = ranges(link).slice(4);
    expect(new Set(again).size).toBe(again.length);
  });

  it("sends sealed events again when they are asked for, then the rest", async () => {
    const { link } = bench({ staged: 20 });
    await settled();
    answer(link, 1, 20);
    await settled();
    answer(link, 1, 0, 5);
    await settled();
    expect(ranges(link).slice(2)).toEqual(["5-14", "15-20"]);
  });

  it("ignores receipts of another epoch and what does not parse", async () => {
    const { link, outbox } = bench({ staged: 10 });
    await settled();
    link.deliver(RECEIPTS, { v: 1, epoch: "ffffffffffffffff", receipts: receipts(1, 10) });
    link.deliver(RECEIPTS, { nonsense: true });
    await settled();
    expect(outbox.settled.value).toEqual([]);
  });

  it("pauses when the broker refuses a batch without going away", async () => {
    const { link, timers, sender } = bench({ staged: 10 });
    link.acknowledging = false;
    await settled();
    link.published[0]?.reject(new RastroError({ code: "busy", message: "too much waits" }));
    await settled();
    expect(link.published).toHaveLength(1);
    expect(sender.state().lastError).toBe("too much waits");
    expect(timers.next()).toBe(1000);
    await settled();
    expect(ranges(link)).toEqual(["1-10", "1-10"]);
  });

  it("keeps events whose receipt could not be written, and sends them again", async () => {
    const { link, outbox, sender, timers } = bench({ staged: 10 });
    const settle = outbox.settle;
    outbox.settle = () => Promise.reject(new Error("disk full"));
    await settled();
    answer(link, 1, 10);
    await settled();
    expect(sender.state()).toMatchObject({ inFlight: 10, receipts: 0 });
    outbox.settle = settle;
    timers.next();
    await settled();
    expect(ranges(link)).toEqual(["1-10", "1-10"]);
    answer(link, 1, 10);
    await settled();
    expect(sender.state()).toMatchObject({ inFlight: 0, lastError: null });
  });

  it("sends nothing after it was stopped", async () => {
    const { link, outbox, sender } = bench({ staged: 5 });
    await settled();
    await sender.stop();
    outbox.stage(5);
    link.down();
    link.up();
    await settled();
    expect(ranges(link)).toEqual(["1-5"]);
  });

  it("lets events wait for each other for a moment, and full batches for nothing", async () => {
    const { link, outbox, timers } = bench({ staged: 0, gatherMs: 10 });
    await settled();
    outbox.stage(1);
    outbox.stage(2);
    await settled();
    expect(ranges(link)).toEqual([]);
    expect(timers.pending()).toEqual([10]);
    timers.next();
    await settled();
    expect(ranges(link)).toEqual(["1-3"]);
    outbox.stage(24);
    timers.next();
    await settled();
    outbox.stage(1);
    await settled();
    expect(ranges(link)).toEqual(["1-3", "4-13", "14-23", "24-27"]);
    timers.next();
    await settled();
    expect(ranges(link).at(-1)).toBe("28-28");
  });

  it("goes on after an outbox that could not be read", async () => {
    const { link, outbox, sender, timers } = bench({ staged: 3 });
    const read = outbox.floor;
    outbox.floor = () => {
      throw new Error("the store is closed");
    };
    await settled();
    expect(sender.state()).toMatchObject({ batches: 0, inFlight: 0 });
    expect(sender.state().lastError).toContain("the outbox cannot be read");
    outbox.floor = read;
    timers.next();
    await settled();
    expect(ranges(link)).toEqual(["1-3"]);
  });

  it("does not call an old connection's fault one of the new", async () => {
    const { link, sender } = bench({ staged: 3 });
    link.acknowledging = false;
    await settled();
    link.down();
    expect(sender.state().lastError).toContain("no connection");
    link.up();
    link.published[0]?.reject(new Error("it went"));
    await settled();
    expect(sender.state().lastError).toBeNull();
    expect(ranges(link)).toEqual(["1-3", "1-3"]);
  });

  it("sends at once what a receiver asks for that has come back, after time-outs too", async () => {
    const { link, timers } = bench({ staged: 30 });
    await settled();
    for (let silence = 0; silence < 3; silence += 1) {
      timers.next();
      await settled();
    }
    link.published.length = 0;
    answer(link, 1, 0, 1);
    await settled();
    expect(ranges(link)).toEqual(["1-10", "11-20", "21-30"]);
  });

  it("brings every event into the book once and in order, whatever is lost on the way", async () => {
    const fate = fc.record({ batch: fc.boolean(), receipts: fc.boolean(), cut: fc.integer({ min: 0, max: 9 }) });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 120 }), fc.array(fate, { maxLength: 40 }), async (staged, fates) => {
        const { link, outbox, sender, timers } = bench({ staged });
        const book = memoryBook();
        let receiving = Promise.resolve();
        link.onPublish = (published) => {
          const { batch = true, receipts: back = true, cut = 9 } = fates.shift() ?? {};
          if (cut === 0) {
            link.down();
            link.up();
          }
          if (!batch) return;
          receiving = receiving.then(async () => {
            const answered = await book.receive("ipc-1", JSON.parse(published.payload) as EventBatch);
            if (back) link.deliver(RECEIPTS, answered);
          });
        };
        for (
          let turn = 0;
          turn < 200 && new Set(outbox.settled.value.map((receipt) => receipt.id)).size < staged;
          turn += 1
        ) {
          await settled();
          await receiving;
          await settled();
          if (sender.state().inFlight > 0) timers.next();
        }
        await sender.stop();
        expect(book.records.value).toEqual(recordsOf("ipc-1", staged));
        expect(new Set(outbox.settled.value.map((receipt) => receipt.id))).toEqual(new Set(outbox.ids()));
      }),
      { numRuns: 60 },
    );
  });
});
