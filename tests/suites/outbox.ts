import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Receipt } from "../../lib/contracts/events.ts";
import { canonicalBytes, canonicalText } from "../../lib/ledger/canonical.ts";
import { sign, verifySignature } from "../../lib/ledger/signature.ts";
import { keys } from "../../lib/storage/keys.ts";
import { Outbox, type OutboxOptions, SEALED_KEPT_MS } from "../../lib/storage/outbox/outbox.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { signedOf } from "../support/signed-of.ts";
import type { Backend, Bed } from "./backends.ts";
import { draft, idOf, NOW, signer } from "./events.ts";
import { FaultyDatabase } from "./faulty-database.ts";

const EPOCH = "0102030405060708";
const ALL = { from: null, maxEvents: 1000, maxBytes: 1_000_000 };
const machine = signer("ipc-07");

/** What every outbox promises, whatever store it lies on. */
export function outboxSuite(backend: Backend): void {
  describe(`an outbox on ${backend.name}`, () => {
    let bed: Bed;
    let database: FaultyDatabase;
    let store: Store;
    let outbox: Outbox;
    let now: number;

    const open = (change: { random?: () => Buffer; sign?: OutboxOptions["sign"] } = {}) =>
      Outbox.open({
        store,
        book: "production",
        name: "ipc-07",
        app: "edge-agent@0.1.0",
        sign: (bytes) => sign(machine.privateKey, bytes),
        random: () => Buffer.from(EPOCH, "hex"),
        now: () => now,
        ...change,
      });
    const start = async () => {
      database = new FaultyDatabase(await bed.database());
      store = await Store.onDatabase(database, "the test's store");
      outbox = await open();
    };
    const stage = (n: number) => store.write((tx) => outbox.stage(tx, draft(n)));
    const stageMany = (count: number) => Promise.all(Array.from({ length: count }, (_, index) => stage(index + 1)));
    const read = async (o: Partial<Parameters<Outbox["read"]>[0]> = {}) =>
      (await outbox.read({ ...ALL, ...o })).map(({ dseq }) => dseq);

    beforeEach(async () => {
      now = NOW;
      bed = await backend.make();
      await start();
    });

    afterEach(async () => {
      await store.close();
      await bed.remove();
    });

    it("is empty at first", async () => {
      expect(outbox.epoch).toBe(EPOCH);
      expect(outbox.floor()).toBe(1);
      expect(outbox.depth()).toEqual({ waiting: 0, sealed: 0, oldest: null, bytes: 0 });
      expect(await read()).toEqual([]);
    });

    it("gives an event its place, and signs it when it is read", async () => {
      const event = await stage(1);
      expect(event).toEqual({
        v: 1,
        ...draft(1),
        src: { name: "ipc-07", app: "edge-agent@0.1.0", outbox: { epoch: EPOCH, dseq: 1 } },
      });
      const [entry] = await outbox.read(ALL);
      const { sig } = signedOf(entry ?? { text: "" });
      expect(verifySignature(machine.raw, canonicalBytes(event), sig ?? "")).toBe(true);
      expect(entry).toEqual({ dseq: 1, id: idOf(1), text: `{"event":${canonicalText(event)},"sig":"${sig}"}` });
      expect(await outbox.read(ALL)).toEqual([entry]);
    });

    it("signs with the key of the day what was staged under another one", async () => {
      await stageMany(2);
      const successor = signer("ipc-07");
      const again = await open({ sign: async (bytes) => sign(successor.privateKey, bytes) });
      const read = (await again.read(ALL)).map(signedOf);
      expect(read.map(({ event, sig }) => verifySignature(successor.raw, canonicalBytes(event), sig ?? ""))).toEqual([
        true,
        true,
      ]);
    });

    it("leaves events unsigned where there is no key", async () => {
      const unsigned = await open({ sign: null });
      await store.write((tx) => unsigned.stage(tx, draft(1)));
      expect((await unsigned.read(ALL)).map(signedOf)).toMatchObject([{ sig: null }]);
    });

    it("numbers the stages of one group without a gap", async () => {
      const events = await stageMany(50);
      expect(events.map((event) => event.src.outbox?.dseq)).toEqual(counted(1, 50));
      expect(await read()).toEqual(counted(1, 50));
    });

    it("numbers without a gap where stages of the group are dropped", async () => {
      const failing = store.write((tx) => {
        outbox.stage(tx, draft(9));
        throw new Error("dropped");
      });
      await Promise.all([stage(1), expect(failing).rejects.toThrow("dropped"), stage(2)]);
      expect((await outbox.read(ALL)).map(({ dseq, id }) => [dseq, id])).toEqual([
        [1, idOf(1)],
        [2, idOf(2)],
      ]);
      expect(await outbox.receiptOf(idOf(9))).toBeUndefined();
    });

    it("stages in the caller's own batch", async () => {
      const change = Buffer.from("v/change");
      await store.write((tx) => (tx.put(change, Buffer.from("x")), outbox.stage(tx, draft(1))));
      expect(database.batches.at(-1)?.map(({ key }) => key.toString("hex"))).toContain(change.toString("hex"));
      expect(database.batches).toHaveLength(3);
    });

    it("refuses an id that it holds", async () => {
      await stage(1);
      await expect(stage(1)).rejects.toMatchObject({ code: "id_conflict" });
      expect(await read()).toEqual([1]);
    });

    it("keeps epoch, events and counts over a restart", async () => {
      await stageMany(3);
      await outbox.settle([receipt(1)]);
      const depth = outbox.depth();
      await store.close();
      await start();
      outbox = await open({ random: () => Buffer.alloc(8, 0xff) });
      expect(outbox.epoch).toBe(EPOCH);
      expect(outbox.depth()).toEqual(depth);
      expect(await read()).toEqual([2, 3]);
      await stage(4);
      expect(await read()).toEqual([2, 3, 4]);
    });

    it.each(["not-written", "written"] as const)("counts right after a batch that was %s and failed", async (fault) => {
      await stageMany(2);
      database.faults.push(fault);
      await expect(stage(3)).rejects.toMatchObject({ code: "store_unusable" });
      const there = fault === "written" ? 3 : 2;
      expect(outbox.depth()).toMatchObject({ waiting: there });
      await stage(4);
      expect(await read()).toEqual(counted(1, there + 1));
      expect(outbox.depth()).toMatchObject({ waiting: there + 1 });
    });

    it("reads as many events and bytes as asked, and at least one", async () => {
      await stageMany(5);
      expect(await read({ maxEvents: 2 })).toEqual([1, 2]);
      expect(await read({ from: 3, maxEvents: 2 })).toEqual([3, 4]);
      const { bytes } = outbox.depth();
      expect(await read({ maxBytes: bytes })).toEqual([1, 2, 3, 4, 5]);
      expect(await read({ maxBytes: bytes - 1 })).toEqual([1, 2, 3, 4]);
      expect(await read({ maxBytes: 1 })).toEqual([1]);
      expect(await read({ from: 6 })).toEqual([]);
    });

    it("frees an event on its receipt and keeps it sealed", async () => {
      await stageMany(3);
      const { bytes } = outbox.depth();
      expect(outbox.depth()).toEqual({ waiting: 3, sealed: 0, oldest: draft(1).at, bytes });
      await outbox.settle([receipt(1)]);
      expect(outbox.depth()).toEqual({ waiting: 2, sealed: 1, oldest: draft(2).at, bytes });
      expect(await read()).toEqual([2, 3]);
      expect(await read({ from: 1 })).toEqual([1, 2, 3]);
      expect(outbox.floor()).toBe(1);
    });

    it("frees events out of order", async () => {
      await stageMany(4);
      await outbox.settle([receipt(2), receipt(3)]);
      expect(await read()).toEqual([1, 4]);
      expect(outbox.depth()).toMatchObject({ waiting: 2, sealed: 2, oldest: draft(1).at });
      await outbox.settle([receipt(1)]);
      expect(await read()).toEqual([4]);
      await outbox.settle([receipt(4)]);
      expect(await read()).toEqual([]);
      expect(outbox.depth()).toMatchObject({ waiting: 0, sealed: 4, oldest: null });
    });

    it("finds the receipt of an event", async () => {
      await stage(1);
      expect(await outbox.receiptOf(idOf(1))).toBe("waiting");
      await outbox.settle([receipt(1, { status: "refused", code: "unknown_lot" })]);
      expect(await outbox.receiptOf(idOf(1))).toEqual(receipt(1, { status: "refused", code: "unknown_lot" }));
      expect(await outbox.receiptOf(idOf(2))).toBeUndefined();
      expect(await outbox.receiptOf("no id")).toBeUndefined();
    });

    it("keeps the newest receipt and counts an event once", async () => {
      await stage(1);
      await outbox.settle([receipt(1), receipt(1)]);
      await outbox.settle([receipt(1, { seq: 99 })]);
      expect(await outbox.receiptOf(idOf(1))).toMatchObject({ seq: 99 });
      expect(outbox.depth()).toMatchObject({ waiting: 0, sealed: 1 });
    });

    it("ignores receipts for what it does not hold", async () => {
      await stage(1);
      await outbox.settle([receipt(7), { ...receipt(1), id: "ff".repeat(32) }]);
      await outbox.settle([]);
      expect(outbox.depth()).toMatchObject({ waiting: 1, sealed: 0 });
    });

    it("tells of what was staged once it is on disk, and of nothing else", async () => {
      let told = 0;
      outbox.onStaged(() => (told += 1));
      const release = database.hold();
      const staged = stage(1);
      await Promise.resolve();
      expect(told).toBe(0);
      release();
      await staged;
      expect(told).toBe(1);
      await outbox.settle([receipt(1)]);
      database.faults.push("not-written");
      await expect(stage(2)).rejects.toMatchObject({ code: "store_unusable" });
      expect(told).toBe(1);
    });

    it("removes what was settled 30 days ago, up to the first that was not", async () => {
      await stageMany(5);
      await outbox.settle([receipt(1), receipt(2)]);
      now += 1000;
      await outbox.settle([receipt(3), receipt(5)]);
      now = NOW + SEALED_KEPT_MS;
      expect(await outbox.prune()).toBe(2);
      expect(outbox.floor()).toBe(3);
      expect(await read({ from: 1 })).toEqual([3, 4, 5]);
      expect(await outbox.receiptOf(idOf(1))).toBeUndefined();
      now += 1000;
      expect(await outbox.prune()).toBe(1);
      expect(await outbox.prune()).toBe(0);
      expect(outbox.floor()).toBe(4);
      expect(outbox.depth()).toMatchObject({ waiting: 1, sealed: 1 });
      await stage(6);
      expect(await read()).toEqual([4, 6]);
    });

    it("keeps what lies on no second disk, however long ago it was settled", async () => {
      await stageMany(4);
      await outbox.settle([receipt(1), receipt(2), receipt(3), receipt(4)]);
      now += 2 * SEALED_KEPT_MS;
      const { seq } = receipt(3);
      expect(await outbox.prune(SEALED_KEPT_MS, seq)).toBe(2);
      expect(outbox.floor()).toBe(3);
      expect(await outbox.prune(SEALED_KEPT_MS, seq + 1)).toBe(1);
      expect(await outbox.prune()).toBe(1);
    });

    it("removes many, batch by batch, and all that belongs to them", async () => {
      await stageMany(1200);
      await outbox.settle(counted(1, 1200).map((n) => receipt(n)));
      now += SEALED_KEPT_MS;
      expect(await outbox.prune()).toBe(1200);
      expect(outbox.depth()).toEqual({ waiting: 0, sealed: 0, oldest: null, bytes: 0 });
      expect(outbox.floor()).toBe(1201);
      const left: string[] = [];
      for await (const [key] of store.range({ gte: Buffer.from("o"), lt: Buffer.from("p") })) left.push(key.toString());
      expect(left).toEqual(["oproduction/state"]);
    });

    it("does not remove what is younger than 30 days", async () => {
      await expect(outbox.prune(SEALED_KEPT_MS - 1)).rejects.toThrow(RangeError);
      await expect(outbox.prune(Number.NaN)).rejects.toThrow(RangeError);
    });

    it("passes an event that its store has lost, once those before it have their receipts", async () => {
      await stageMany(5);
      await lose(3);
      expect(await read()).toEqual([1, 2]);
      expect(await read({ from: 3 })).toEqual([]);
      expect(outbox.floor()).toBe(1);
      await outbox.settle([receipt(1), receipt(2)]);
      expect(await read()).toEqual([4, 5]);
      expect(outbox.floor()).toBe(4);
      expect(outbox.depth()).toMatchObject({ waiting: 2, sealed: 2 });
      await outbox.settle([receipt(4), receipt(5)]);
      now += SEALED_KEPT_MS;
      await outbox.prune();
      expect(outbox.depth()).toMatchObject({ waiting: 0, sealed: 0 });
      expect(outbox.floor()).toBe(6);
    });

    it("passes a sealed event that its store has lost", async () => {
      await stageMany(5);
      await outbox.settle([1, 2, 3, 4].map((n) => receipt(n)));
      await lose(2);
      expect(await read({ from: 1 })).toEqual([1]);
      expect(await read({ from: 2 })).toEqual([3, 4, 5]);
      expect(outbox.floor()).toBe(3);
      expect(await read()).toEqual([5]);
      expect(outbox.depth()).toMatchObject({ waiting: 1 });
    });

    it("never signs what the disk has altered: it counts as lost", async () => {
      await stageMany(3);
      const altered = Buffer.from((await store.get(keys.outbox.event("production", 2))) ?? "");
      altered.writeUInt8(altered.readUInt8(altered.length - 20) ^ 1, altered.length - 20);
      await store.write((tx) => tx.put(keys.outbox.event("production", 2), altered));
      expect(await read()).toEqual([1]);
      await outbox.settle([receipt(1)]);
      expect(await read()).toEqual([3]);
      expect(outbox.floor()).toBe(3);
    });

    async function lose(dseq: number): Promise<void> {
      await store.write((tx) => tx.del(keys.outbox.event("production", dseq)));
    }

    it("counts what a model counts", async () => {
      let next = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
          const first = next + 1;
          const waiting = new Set<number>();
          const before = outbox.depth();
          for (const { kind, pick } of actions) {
            if (kind === "stage") {
              await stage((next += 1));
              waiting.add(next);
            } else if (kind === "settle") {
              const settled = counted(first, next - first + 1).filter((n) => n % 3 === pick % 3);
              await outbox.settle(settled.map((n) => receipt(n)));
              for (const n of settled) waiting.delete(n);
            } else {
              await store.close();
              await start();
            }
            const depth = outbox.depth();
            expect(depth.waiting).toBe(waiting.size);
            expect(depth.waiting + depth.sealed).toBe(before.sealed + next - first + 1);
            expect(await read()).toEqual([...waiting]);
          }
          await outbox.settle([...waiting].map((n) => receipt(n)));
        }),
        { numRuns: 15 },
      );
    });
  });
}

const action = fc.record({ kind: fc.constantFrom("stage", "stage", "stage", "settle", "restart"), pick: fc.nat() });

function receipt(n: number, change: Partial<Receipt> = {}): Receipt {
  return { id: idOf(n), status: "booked", book: "production", seq: n, leaf: "00".repeat(32), ...change };
}

function counted(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
