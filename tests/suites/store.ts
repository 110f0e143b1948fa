import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { STORE_FORMAT } from "../../lib/storage/keys.ts";
import { cellAt, Store, type Tx } from "../../lib/storage/store/store.ts";
import type { Backend, Bed } from "./backends.ts";
import { FaultyDatabase } from "./faulty-database.ts";

/** What every store promises, whatever it lies on. */
export function storeSuite(backend: Backend): void {
  describe(`a store on ${backend.name}`, () => {
    let bed: Bed;
    let database: FaultyDatabase;
    let store: Store;

    beforeEach(async () => {
      bed = await backend.make();
      database = new FaultyDatabase(await bed.database());
      store = await Store.onDatabase(database, "the test's store");
      database.batches.length = 0;
    });

    afterEach(async () => {
      await store.close();
      await bed.remove();
    });

    const openAhead = async () => {
      await store.close();
      database = new FaultyDatabase(await bed.database());
      store = await Store.onDatabase(database, "the test's store", { ahead: true });
    };
    const set = (name: string, value: string) => store.write((tx) => tx.put(key(name), key(value)));
    const shown = async (name: string) => (await store.get(key(name)))?.toString();
    const rows = async () => {
      const all: Record<string, string> = {};
      for await (const [name, value] of store.range({ gte: key("k"), lt: key("l") }))
        all[name.toString()] = value.toString();
      return all;
    };

    it("resolves with what the stage returned, once it can be read", async () => {
      const result = await store.write((tx) => {
        tx.put(key("k1"), key("one"));
        return 42;
      });
      expect(result).toBe(42);
      expect(await shown("k1")).toBe("one");
      expect(store.getNow(key("k1"))?.toString()).toBe("one");
      expect(await shown("k2")).toBeUndefined();
      const many = await store.getMany(["k2", "k1"].map(key));
      expect(many.map((value) => value?.toString())).toEqual([undefined, "one"]);
    });

    it("keeps everything when it is closed and opened again", async () => {
      await set("k1", "one");
      await store.close();
      store = await bed.open();
      expect(await rows()).toEqual({ k1: "one" });
    });

    it("shows a stage what it and earlier stages wrote and removed", async () => {
      await set("k1", "disk");
      const seen: (string | undefined)[] = [];
      const look = (tx: Tx) => seen.push(tx.get(key("k1"))?.toString());
      await Promise.all([
        store.write(look),
        store.write((tx) => (tx.put(key("k1"), key("group")), look(tx))),
        store.write((tx) => (look(tx), tx.del(key("k1")), look(tx))),
        store.write((tx) => (look(tx), tx.put(key("k1"), key("again")))),
      ]);
      expect(seen).toEqual(["disk", "group", "group", undefined, undefined]);
      expect(await shown("k1")).toBe("again");
    });

    it("decodes a cell once a batch and encodes it once, and shows it as a key with a value all the same", async () => {
      const counted = { decoded: 0, encoded: 0 };
      const cell = cellAt(key("k1"), {
        decode: (bytes) => ((counted.decoded += 1), Number(bytes?.toString() ?? 0)),
        encode: (value: number) => ((counted.encoded += 1), key(String(value))),
      });
      const raise = (tx: Tx) => tx.set(cell, tx.read(cell) + 1);
      const failing = (tx: Tx) => {
        raise(tx);
        throw new Error("dropped");
      };
      const outcomes = [raise, failing, raise].map((stage) => store.write(stage));
      expect((await Promise.allSettled(outcomes)).map(({ status }) => status)).toContain("rejected");
      expect(await shown("k1")).toBe("2");
      expect(counted).toEqual({ decoded: 1, encoded: 1 });
      const seen = await store.write((tx) => {
        tx.set(cell, 7);
        const asBytes = tx.get(key("k1"))?.toString();
        tx.put(key("k1"), key("8"));
        const asCell = tx.read(cell);
        tx.del(key("k1"));
        return [asBytes, asCell, tx.read(cell)];
      });
      expect(seen).toEqual(["7", 8, 0]);
      expect(await shown("k1")).toBeUndefined();
    });

    it("writes what was staged in one turn as one batch, the last value of each key", async () => {
      await Promise.all([set("k1", "a"), set("k2", "b"), set("k1", "c")]);
      expect(database.batches).toHaveLength(1);
      expect(database.batches[0]).toHaveLength(2);
      expect(await rows()).toEqual({ k1: "c", k2: "b" });
    });

    it("gathers what comes while a batch is being written into the next one", async () => {
      const release = database.hold();
      const first = set("k0", "x");
      await untilBatches(database, 1);
      const rest = ["k1", "k2", "k3"].map((name) => set(name, "y"));
      release();
      await Promise.all([first, ...rest]);
      expect(database.batches.map((batch) => batch.length)).toEqual([1, 3]);
    });

    it("lets what nobody waits for go with the next batch, in the order of the calls", async () => {
      const patient = store.writePatiently((tx) => tx.put(key("k1"), key("a")));
      await nextTurn();
      expect(database.batches).toEqual([]);
      await Promise.all([patient, set("k1", "b")]);
      expect(database.batches).toHaveLength(1);
      expect(await rows()).toEqual({ k1: "b" });
    });

    it("writes it all the same where nothing else is written, and before it closes", async () => {
      await store.writePatiently((tx) => tx.put(key("k1"), key("a")));
      const last = store.writePatiently((tx) => tx.put(key("k2"), key("b")));
      await Promise.all([store.close(), last]);
      store = await bed.open();
      expect(await rows()).toEqual({ k1: "a", k2: "b" });
    });

    it("tells of one group before it stages the next", async () => {
      const seen: string[] = [];
      const first = set("k0", "x").then(async () => {
        for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
        seen.push("first is told");
      });
      await untilBatches(database, 1);
      await Promise.all([first, store.write(() => seen.push("second is staged"))]);
      expect(seen).toEqual(["first is told", "second is staged"]);
    });

    it("lets other work in between stages that write nothing", async () => {
      let turns = 0;
      setImmediate(() => (turns += 1));
      for (let n = 0; n < 3; n += 1) await store.write((tx) => tx.get(key("k1")));
      expect(turns).toBe(1);
    });

    it("runs the stages of the next group while one is written, on top of what that has, where it may", async () => {
      await openAhead();
      const release = database.hold();
      const counted = Promise.all(Array.from({ length: 300 }, () => store.write(countUp)));
      const seen = await new Promise((resolve) => void store.write((tx) => resolve(tx.get(key("k1"))?.toString())));
      expect(seen).toBe("300");
      expect(database.batches).toHaveLength(1);
      expect(await shown("k1")).toBeUndefined();
      release();
      await counted;
      expect(await shown("k1")).toBe("300");
    });

    it.each(["not-written", "written"] as const)(
      "rejects what was staged on top of a batch that was %s and failed",
      async (fault) => {
        await openAhead();
        const release = database.hold();
        database.faults.push(fault);
        const effects: string[] = [];
        const stages = Array.from({ length: 300 }, (_, n) =>
          store.write((tx) => {
            countUp(tx);
            tx.onCommit(() => effects.push(String(n)));
          }),
        );
        await someTurns();
        release();
        const outcomes = await Promise.allSettled(stages);
        expect(outcomes.filter(({ status }) => status === "fulfilled")).toEqual([]);
        expect(effects).toEqual([]);
        await store.write(countUp);
        // The first group had half of them, in steps of sixteen.
        expect(await shown("k1")).toBe(fault === "written" ? "161" : "1");
      },
    );

    it("ends a group at 256 stages and at 4 MiB", async () => {
      await Promise.all(Array.from({ length: 600 }, (_, index) => set(`k${index}`, "x")));
      expect(database.batches.map((batch) => batch.length)).toEqual([256, 256, 88]);
      database.batches.length = 0;
      const large = Buffer.alloc(1024 * 1024);
      await Promise.all(Array.from({ length: 6 }, (_, index) => store.write((tx) => tx.put(key(`k${index}`), large))));
      expect(database.batches.map((batch) => batch.length)).toEqual([4, 2]);
    });

    it("drops the writes of a stage that throws, and no others", async () => {
      const failing = store.write((tx) => {
        tx.put(key("k1"), key("half"));
        tx.del(key("k0"));
        throw new RangeError("no such lot");
      });
      await Promise.all([set("k0", "a"), expect(failing).rejects.toThrow("no such lot"), set("k2", "c")]);
      expect(await rows()).toEqual({ k0: "a", k2: "c" });
    });

    it("writes nothing where no stage wrote", async () => {
      expect(await store.write((tx) => tx.get(key("k1")))).toBeUndefined();
      expect(database.batches).toEqual([]);
    });

    it("refuses a stage that is not synchronous", async () => {
      const slow = store.write(async (tx) => tx.put(key("k1"), key("late")));
      await expect(slow).rejects.toThrow("expected it to be synchronous");
      expect(await rows()).toEqual({});
    });

    it("refuses the use of a transaction after its stage", async () => {
      const tx = await store.write((tx) => tx);
      expect(() => tx.put(key("k1"), key("late"))).toThrow("after it had returned");
      expect(() => tx.get(key("k1"))).toThrow("after it had returned");
    });

    it("runs effects of what is on disk, before its write resolves, and of nothing else", async () => {
      const seen: string[] = [];
      const failing = store.write((tx) => {
        tx.onCommit(() => seen.push("never"));
        throw new Error("dropped");
      });
      const good = store.write((tx) => {
        tx.put(key("k1"), key("a"));
        tx.onCommit(() => seen.push(store.getNow(key("k1"))?.toString() ?? "too early"));
      });
      await Promise.all([expect(failing).rejects.toThrow("dropped"), good.then(() => seen.push("resolved"))]);
      expect(seen).toEqual(["a", "resolved"]);
    });

    it("runs hooks after each batch and before its writes resolve", async () => {
      const seen: string[] = [];
      store.withEachBatch(() => async () => void seen.push(`hook ${await shown("k1")}`));
      await set("k1", "a").then(() => seen.push("resolved"));
      await store.write(() => undefined);
      expect(seen).toEqual(["hook a", "resolved"]);
    });

    it("writes one batch more while a hook of the one before is not done, and tells both in order", async () => {
      await openAhead();
      const hooks: PromiseWithResolvers<void>[] = [];
      const told: string[] = [];
      store.withEachBatch(() => () => {
        const hook = Promise.withResolvers<void>();
        hooks.push(hook);
        return hook.promise;
      });
      const writes = [];
      for (const name of ["k1", "k2", "k3"]) {
        writes.push(set(name, name).then(() => told.push(name)));
        await vi.waitFor(() => expect(database.batches).toHaveLength(Math.min(writes.length, 2)));
      }
      // The second one's hook waits for nobody here; the book's head notes are written one after the other.
      await vi.waitFor(() => expect(hooks).toHaveLength(2));
      hooks[1]?.resolve();
      await nextTurn();
      expect([told, database.batches.length]).toEqual([[], 2]);
      hooks[0]?.resolve();
      await vi.waitFor(() => expect(hooks).toHaveLength(3));
      expect(told).toEqual(["k1", "k2"]);
      hooks[2]?.resolve();
      await Promise.all(writes);
      expect(told).toEqual(["k1", "k2", "k3"]);
    });

    it("rejects the writes of a group whose hook fails, and runs their effects: they are on disk", async () => {
      let fails = true;
      const seen: string[] = [];
      store.withEachBatch(() => () => (fails ? Promise.reject(new Error("no space")) : Promise.resolve()));
      const write = store.write((tx) => {
        tx.put(key("k1"), key("a"));
        tx.onCommit(() => seen.push("k1"));
      });
      await expect(write).rejects.toMatchObject({ code: "store_unusable" });
      expect(seen).toEqual(["k1"]);
      fails = false;
      await set("k2", "b");
      expect(await rows()).toEqual({ k1: "a", k2: "b" });
    });

    it.each(["not-written", "written"] as const)("goes on after a batch that was %s and failed", async (fault) => {
      await set("k0", "kept");
      let hooked = 0;
      store.withEachBatch(() => async () => void (hooked += 1));
      database.faults.push(fault);
      const outcomes = await Promise.allSettled([set("k1", "a"), set("k2", "b")]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
      expect(outcomes[0]).toMatchObject({ reason: { code: "store_unusable" } });
      expect(hooked).toBe(0);
      // Both or neither, and what comes next sees which.
      const expected = fault === "written" ? { k0: "kept", k1: "a", k2: "b" } : { k0: "kept" };
      expect(await store.write((tx) => tx.get(key("k2"))?.toString())).toBe(expected.k2);
      await set("k3", "c");
      expect(await rows()).toEqual({ ...expected, k3: "c" });
      expect(database.reopened).toBe(1);
    });

    it("rejects while it cannot be opened again, and goes on once it can", async () => {
      database.faults.push("not-written");
      await expect(set("k1", "a")).rejects.toMatchObject({ code: "store_unusable" });
      database.openFails = true;
      await expect(set("k2", "b")).rejects.toMatchObject({ code: "store_unusable" });
      await expect(store.get(key("k1"))).rejects.toMatchObject({ code: "store_unusable" });
      expect(() => store.getNow(key("k1"))).toThrow(expect.objectContaining({ code: "store_unusable" }));
      database.openFails = false;
      await set("k3", "c");
      expect(await rows()).toEqual({ k3: "c" });
    });

    it("reads ranges in the order of keys, from either end, as far as asked", async () => {
      const names = Array.from({ length: 300 }, (_, index) => `k${String(index).padStart(3, "0")}`);
      await Promise.all(names.map((name) => set(name, name)));
      const read = async (o: { reverse?: boolean; limit?: number }) => {
        const found: string[] = [];
        for await (const [name] of store.range({ gte: key("k"), lt: key("l"), ...o })) found.push(name.toString());
        return found;
      };
      expect(await read({})).toEqual(names);
      expect(await read({ reverse: true })).toEqual(names.toReversed());
      expect(await read({ limit: 2 })).toEqual(["k000", "k001"]);
      expect(await read({ reverse: true, limit: 1 })).toEqual(["k299"]);
    });

    it("finishes what it has taken before it closes, and takes no more", async () => {
      const release = database.hold();
      const taken = [set("k1", "a"), set("k2", "b")];
      const closed = store.close();
      await expect(set("k3", "c")).rejects.toMatchObject({ code: "store_unusable" });
      release();
      await Promise.all([...taken, closed]);
      store = await bed.open();
      expect(await rows()).toEqual({ k1: "a", k2: "b" });
    });

    it("refuses a store of a newer version", async () => {
      await store.write((tx) => tx.put(key("m/format"), key(String(STORE_FORMAT + 1))));
      await store.close();
      await expect(bed.open()).rejects.toMatchObject({ code: "store_newer" });
      await bed.remove();
      bed = await backend.make();
      store = await bed.open();
    });

    it("holds what a model holds, whatever stages fail and batches break", async () => {
      let run = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 30 }),
          fc.array(fault, { maxLength: 4 }),
          async (steps, faults) => {
            const prefix = `k${(run += 1)}/`;
            const model = new Map<string, string>();
            database.faults.splice(0, Infinity, ...faults);
            for (const turn of chunks(steps, 5)) {
              const good = turn.filter((one) => !one.fails);
              const fault = good.length > 0 ? database.faults[0] : null;
              const outcomes = await Promise.allSettled(turn.map((one) => store.write((tx) => play(tx, prefix, one))));
              const rejected = turn.map((one) => one.fails || (fault ?? null) !== null);
              expect(outcomes.map(({ status }) => status === "rejected")).toEqual(rejected);
              if (fault !== "not-written") for (const { name, value } of good) model.set(name, value);
              const found = await store.write((tx) => NAMES.map((name) => tx.get(key(prefix + name))?.toString()));
              expect(found).toEqual(NAMES.map((name) => model.get(name)));
            }
          },
        ),
        { numRuns: 25 },
      );
    });
  });
}

type Step = { name: string; value: string; fails: boolean };

const NAMES = ["a", "b", "c", "d"];
const step = fc.record({ name: fc.constantFrom(...NAMES), value: fc.string(), fails: fc.boolean() });
const fault = fc.constantFrom("not-written" as const, "written" as const, null);

function play(tx: Tx, prefix: string, step: Step): void {
  tx.put(key(prefix + step.name), key(step.value));
  if (step.fails) throw new Error("this stage fails");
}

/** Raises the number that is kept under k1. */
function countUp(tx: Tx): void {
  tx.put(key("k1"), key(String(Number(tx.get(key("k1"))?.toString() ?? 0) + 1)));
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}

function key(text: string): Buffer {
  return Buffer.from(text);
}

/** As many as a full group needs that is staged while another one is written. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await nextTurn();
}

async function untilBatches(database: FaultyDatabase, count: number): Promise<void> {
  while (database.batches.length < count) await Promise.resolve();
}
