import type { AedesPublishPacket } from "aedes";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DropReport, SessionLimits } from "../../broker/persistence/limits.ts";
import { openPersistence, type Persistence } from "../../broker/persistence/persistence.ts";
import { topicMatches } from "../../lib/contracts/topics.ts";
import { Store } from "../../lib/storage/store/store.ts";
import type { Backend, Bed } from "./backends.ts";
import { FaultyDatabase } from "./faulty-database.ts";

const HOUR = 60 * 60_000;
const FIRST = "maria:one";
const SECOND = "maria:two";

/** What the hub's persistence promises beyond Aedes's interface, whatever it lies on. */
export function persistenceSuite(backend: Backend): void {
  describe(`the hub's persistence on ${backend.name}`, () => {
    let bed: Bed;
    let database: FaultyDatabase;
    let store: Store;
    let persistence: Persistence;
    let now: number;
    let counter: number;

    const open = async (limits: Partial<SessionLimits> = {}) => {
      database = new FaultyDatabase(await bed.database());
      store = await Store.onDatabase(database, "the test's store");
      persistence = await openPersistence({ store, limits, now: () => now });
      await persistence.setup({ id: `run-${counter}` });
      database.batches.length = 0;
    };
    /** What a kill leaves: nothing is written any more, and the next one reads what was. */
    const kill = async (limits: Partial<SessionLimits> = {}) => {
      vi.clearAllTimers();
      await store.close();
      await open(limits);
    };
    const closeAndOpen = async () => {
      await persistence.close();
      await kill();
    };
    const message = (text: string, change: Partial<AedesPublishPacket> = {}): AedesPublishPacket => {
      counter += 1;
      const publish = { cmd: "publish", topic: "a/b", payload: Buffer.from(text), qos: 1, retain: false, dup: false };
      return { ...publish, brokerId: "run", brokerCounter: counter, ...change } as AedesPublishPacket;
    };
    const publish = async (text: string, change: Partial<AedesPublishPacket> = {}, client: string | null = null) => {
      const kept = persistence.keep(message(text, change), client);
      await kept?.stored;
      kept?.publish();
      return kept !== null;
    };
    const owed = async (client: string) => {
      const rows = await persistence.outgoingStream({ id: client }).toArray();
      return rows.map((row: { payload?: Buffer; cmd: string }) => row.payload?.toString() ?? row.cmd);
    };
    const subscribe = (client: string, topic = "a/#", qos = 1) =>
      persistence.addSubscriptions({ id: client }, [{ topic, qos }]);
    const retained = async (filter = "#") => {
      const rows = await persistence.createRetainedStream(filter).toArray();
      return Object.fromEntries(rows.map((row: AedesPublishPacket) => [row.topic, row.payload.toString()]));
    };

    beforeEach(async () => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
      bed = await backend.make();
      now = Date.parse("2026-11-24T10:00:00Z");
      counter = 0;
      await open();
    });

    afterEach(async () => {
      await persistence.close();
      await store.close();
      await bed.remove();
      vi.useRealTimers();
    });

    describe("queues", () => {
      it("keep their order across starts, whatever the clock says", async () => {
        await subscribe(FIRST);
        const texts: string[] = [];
        for (let start = 0; start < 4; start += 1) {
          for (let index = 0; index < 300; index += 1) texts.push(`${start}/${index}`);
          await Promise.all(texts.slice(-300).map((text) => publish(text)));
          now -= HOUR;
          await kill();
          expect(await owed(FIRST)).toEqual(texts);
        }
      });

      it("of one turn share a synced write", async () => {
        await subscribe(FIRST);
        await subscribe(SECOND);
        database.batches.length = 0;
        await Promise.all(Array.from({ length: 100 }, (_, index) => publish(String(index))));
        expect(database.batches).toHaveLength(1);
        expect(database.batches[0]).toHaveLength(200);
      });

      it("write nothing for what nobody is owed", async () => {
        await subscribe(FIRST, "x/#");
        await subscribe(SECOND, "a/b", 0);
        database.batches.length = 0;
        expect(await publish("for nobody")).toBe(false);
        expect(database.batches).toHaveLength(0);
      });

      it("have each message once, at the highest QoS of the subscriptions that match", async () => {
        await subscribe(FIRST, "a/#", 1);
        await subscribe(FIRST, "a/+", 2);
        await subscribe(FIRST, "a/b", 0);
        await publish("once", { qos: 2 });
        const rows = await persistence.outgoingStream({ id: FIRST }).toArray();
        expect(rows).toMatchObject([{ qos: 2, retain: false }]);
      });

      it("hold nothing that the user may not have", async () => {
        await subscribe(FIRST);
        persistence.restrict(() => ({ maySubscribe: () => true, mayReceive: (topic) => topic !== "a/b" }));
        expect(await publish("hidden")).toBe(false);
        await publish("shown", { topic: "a/c" });
        expect(await owed(FIRST)).toEqual(["shown"]);
        persistence.restrict(() => ({ maySubscribe: (filter) => filter !== "b", mayReceive: () => true }));
        await persistence.addSubscriptions({ id: FIRST }, [
          { topic: "b", qos: 1 },
          { topic: "c", qos: 1 },
        ]);
        expect((await persistence.subscriptionsByClient({ id: FIRST })).map(({ topic }) => topic)).toEqual([
          "a/#",
          "c",
        ]);
      });

      it("are told that a message may be sent only once it is stored and published", async () => {
        await subscribe(FIRST);
        const told: string[] = [];
        persistence.onReady((client) => told.push(client));
        const kept = persistence.keep(message("slow"), null);
        expect(persistence.queueOf(FIRST)?.takeNext()).toBeUndefined();
        await kept?.stored;
        expect(persistence.queueOf(FIRST)?.takeNext()).toBeUndefined();
        kept?.publish();
        expect(told).toEqual([FIRST]);
        expect(persistence.queueOf(FIRST)?.takeNext()?.message.payload.toString()).toBe("slow");
      });

      it("forget what was acknowledged, for good after a second", async () => {
        await subscribe(FIRST);
        await publish("one");
        await publish("two");
        const first = persistence.queueOf(FIRST)?.takeNext();
        if (first === undefined) throw new Error("nothing is owed");
        await persistence.number(FIRST, first, 7);
        expect(await persistence.outgoingClearMessageId({ id: FIRST }, { messageId: 7 })).toMatchObject({
          messageId: 7,
        });
        expect(await owed(FIRST)).toEqual(["two"]);
        await vi.advanceTimersByTimeAsync(1000);
        await kill();
        expect(await owed(FIRST)).toEqual(["two"]);
      });

      it("take message ids of QoS 2 and what was received over a kill", async () => {
        await subscribe(FIRST, "a/#", 2);
        await publish("one", { qos: 2 });
        await publish("two", { qos: 2 });
        const entries = [...(persistence.queueOf(FIRST)?.entries() ?? [])];
        for (const [index, entry] of entries.entries()) await persistence.number(FIRST, entry, index + 10);
        await persistence.outgoingUpdate({ id: FIRST }, { cmd: "pubrel", messageId: 10 });
        await kill();
        const rows = await persistence.outgoingStream({ id: FIRST }).toArray();
        expect(rows).toMatchObject([
          { cmd: "pubrel", messageId: 10 },
          { cmd: "publish", messageId: 11, qos: 2, payload: Buffer.from("two") },
        ]);
        await persistence.outgoingClearMessageId({ id: FIRST }, { messageId: 10 });
        await closeAndOpen();
        expect(await owed(FIRST)).toEqual(["two"]);
      });
    });

    describe("limits", () => {
      let drops: DropReport[];
      const watchDrops = () => {
        drops = [];
        persistence.onDrop((report) => drops.push(report));
      };

      it("drop the oldest by count and by bytes, and say so", async () => {
        await kill({ messages: 3, bytes: 40 });
        watchDrops();
        await subscribe(FIRST);
        for (const text of ["1", "2", "3", "4", "5"]) await publish(text);
        expect(await owed(FIRST)).toEqual(["3", "4", "5"]);
        await publish("x".repeat(35));
        expect(await owed(FIRST)).toEqual(["x".repeat(35)]);
        expect(drops.map(({ cause }) => cause)).toEqual(["messages", "messages", "messages", "bytes"]);
        expect(persistence.counters.dropped).toMatchObject({ messages: 3, bytes: 2 });
        await closeAndOpen();
        expect(await owed(FIRST)).toEqual(["x".repeat(35)]);
      });

      it("drop by age, also what was stored by an earlier start", async () => {
        await kill({ ageMs: HOUR });
        await subscribe(FIRST);
        await publish("old");
        await kill({ ageMs: HOUR });
        watchDrops();
        now += HOUR;
        await publish("new");
        await vi.advanceTimersByTimeAsync(60_000);
        expect(await owed(FIRST)).toEqual(["new"]);
        expect(drops).toEqual([{ client: FIRST, cause: "age", count: 1 }]);
      });

      it("end a session whose client stayed away, and no other", async () => {
        await kill({ expiryMs: HOUR });
        for (const client of [FIRST, SECOND]) {
          await subscribe(client);
          persistence.came(client);
        }
        await publish("waits");
        persistence.left(FIRST);
        await vi.advanceTimersByTimeAsync(1000);
        await kill({ expiryMs: HOUR });
        watchDrops();
        persistence.came(SECOND);
        now += HOUR;
        await vi.advanceTimersByTimeAsync(60_000);
        expect([...persistence.clientIds()]).toEqual([SECOND]);
        expect(drops).toEqual([{ client: FIRST, cause: "session", count: 1 }]);
        await closeAndOpen();
        expect([...persistence.clientIds()]).toEqual([SECOND]);
        expect(await owed(FIRST)).toEqual([]);
      });
    });

    describe("subscriptions", () => {
      const filters = ["a", "a/b", "a/+", "a/#", "+/b", "#", "+"];
      const step = fc.record({
        client: fc.constantFrom(FIRST, SECOND),
        do: fc.constantFrom("subscribe", "unsubscribe", "clean", "reopen"),
        given: fc.array(fc.record({ topic: fc.constantFrom(...filters), qos: fc.constantFrom(0, 1, 2) }), {
          minLength: 1,
          maxLength: 3,
        }),
      });

      it("are right after any sequence of changes and starts", { timeout: 60_000 }, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
            const model = new Map<string, Map<string, number>>();
            for (const client of [FIRST, SECOND]) await persistence.cleanSubscriptions({ id: client });
            for (const { client, do: what, given } of steps) {
              const known = model.get(client) ?? new Map<string, number>();
              if (what === "subscribe") {
                for (const { topic, qos } of given) known.set(topic, qos);
                await persistence.addSubscriptions({ id: client }, given);
              } else if (what === "unsubscribe") {
                for (const { topic } of given) known.delete(topic);
                await persistence.removeSubscriptions(
                  { id: client },
                  given.map(({ topic }) => topic),
                );
              } else if (what === "clean") {
                known.clear();
                await persistence.cleanSubscriptions({ id: client });
              } else await kill();
              model.set(client, known);
              expect(await persistence.countOffline()).toEqual(countsOf(model));
              await agree(model);
            }
          }),
          { numRuns: backend.name === "memory" ? 150 : 40 },
        );
      });

      async function agree(model: ReadonlyMap<string, ReadonlyMap<string, number>>): Promise<void> {
        for (const [client, known] of model) {
          const stored = await persistence.subscriptionsByClient({ id: client });
          expect(new Map(stored.map(({ topic, qos }) => [topic, qos]))).toEqual(known);
        }
        for (const topic of ["a", "a/b", "b/b", "a/b/c", "$x", "$x/b"]) {
          const wanted = [...model].flatMap(([client, known]) =>
            [...known]
              .filter(([filter, qos]) => qos > 0 && topicMatches(filter, topic))
              .map(([filter]) => `${client} ${filter}`),
          );
          const found = await persistence.subscriptionsByTopic(topic);
          expect(found.map((one) => `${one.clientId} ${one.topic}`).sort()).toEqual(wanted.sort());
        }
      }

      function countsOf(model: ReadonlyMap<string, ReadonlyMap<string, number>>) {
        const counts = [...model.values()];
        return {
          subsCount: counts.flatMap((known) => [...known.values()]).filter((qos) => qos > 0).length,
          clientsCount: counts.filter(({ size }) => size > 0).length,
        };
      }
    });

    describe("retained messages", () => {
      it("of QoS 0 are written once a second and topic, however often they change", async () => {
        for (let index = 0; index <= 1000; index += 1) {
          persistence.storeRetained(message(String(index), { qos: 0, retain: true }));
          persistence.storeRetained(message(String(index), { qos: 0, retain: true, topic: "$SYS/broker/x" }));
        }
        expect(await retained("a/b")).toEqual({ "a/b": "1000" });
        expect(database.batches).toHaveLength(0);
        await vi.advanceTimersByTimeAsync(1000);
        await vi.waitFor(() => expect(database.batches).toHaveLength(1));
        expect(database.batches[0]).toHaveLength(1);
        await vi.advanceTimersByTimeAsync(5000);
        expect(database.batches).toHaveLength(1);
        await kill();
        expect(await retained()).toEqual({ "a/b": "1000" });
      });

      it("of QoS 1 are on the disk before they are acknowledged, and cleared by an empty one", async () => {
        expect(await publish("kept", { retain: true })).toBe(true);
        await kill();
        expect(await retained()).toEqual({ "a/b": "kept" });
        expect(persistence.retained()).toBe(1);
        await publish("", { retain: true });
        await kill();
        expect(await retained()).toEqual({});
      });

      it("are on the disk as readers see them, in whichever order QoS 0 and 1 came", async () => {
        const written = fc.array(fc.record({ qos: fc.constantFrom(0 as const, 1 as const), clear: fc.boolean() }), {
          minLength: 1,
          maxLength: 8,
        });
        await fc.assert(
          fc.asyncProperty(written, async (steps) => {
            const waiting = steps.map(({ qos, clear }, index) => {
              const text = clear ? "" : String(index);
              if (qos === 1) return publish(text, { retain: true });
              return Promise.resolve(persistence.storeRetained(message(text, { qos, retain: true })));
            });
            await vi.advanceTimersByTimeAsync(1000);
            await Promise.all(waiting);
            await vi.advanceTimersByTimeAsync(1000);
            const seen = await retained();
            await closeAndOpen();
            expect(await retained()).toEqual(seen);
          }),
          { numRuns: 30 },
        );
      });

      it("are handed over by whoever has newer ones, before each reading and each second", async () => {
        let newest = 1;
        persistence.beforeFlush(() => {
          persistence.storeRetained(message(String(newest), { qos: 0, retain: true }));
        });
        expect(await retained()).toEqual({ "a/b": "1" });
        newest = 2;
        await vi.advanceTimersByTimeAsync(1000);
        await vi.waitFor(() => expect(database.batches).toHaveLength(1));
        await kill();
        expect(await retained()).toEqual({ "a/b": "2" });
      });
    });

    describe("a QoS 2 message from a client", () => {
      it("is stored together with what it leaves behind, or not at all", async () => {
        await subscribe(FIRST);
        const packet = message("exactly once", { qos: 2, messageId: 5 });
        await persistence.incomingStorePacket({ id: SECOND }, packet);
        database.faults.push("not-written");
        await expect(persistence.keep(packet, SECOND)?.stored).rejects.toMatchObject({ code: "store_unusable" });
        // Sent again, it is taken as new: else it would be acknowledged and never published.
        await expect(persistence.incomingGetPacket({ id: SECOND }, { messageId: 5 })).rejects.toThrow("no such packet");
        await vi.advanceTimersByTimeAsync(1000);
        await vi.waitFor(() => expect(persistence.fault()).toBeNull());
        await persistence.incomingStorePacket({ id: SECOND }, packet);
        const kept = persistence.keep(packet, SECOND);
        await kept?.stored;
        await kill();
        expect(await owed(FIRST)).toEqual(["exactly once"]);
        expect(await persistence.incomingGetPacket({ id: SECOND }, { messageId: 5 })).toMatchObject({ messageId: 5 });
        await persistence.incomingDelPacket({ id: SECOND }, { messageId: 5 });
        await closeAndOpen();
        await expect(persistence.incomingGetPacket({ id: SECOND }, { messageId: 5 })).rejects.toThrow("no such packet");
      });
    });

    it("wills of an earlier start are there, those of this one apart", async () => {
      const will = (topic: string) => ({ topic, payload: Buffer.from("gone"), qos: 1, retain: true });
      await persistence.putWill({ id: FIRST }, will("first"));
      await persistence.putWill({ id: "gone" }, will("gone"));
      await persistence.delWill({ id: "gone" });
      await vi.advanceTimersByTimeAsync(1000);
      counter += 1;
      await kill();
      await persistence.putWill({ id: SECOND }, will("second"));
      const old = await persistence.streamWill({ [`run-${counter}`]: now }).toArray();
      expect(old).toMatchObject([
        { clientId: FIRST, topic: "first", payload: Buffer.from("gone"), qos: 1, retain: true },
      ]);
    });

    describe("when the disk cannot be written", () => {
      it.each(["not-written", "written"] as const)(
        "acknowledges nothing, leaves nothing behind (%s), says why, and recovers by itself",
        async (fault) => {
          await subscribe(FIRST);
          await publish("before");
          const told: (string | null)[] = [];
          persistence.onFault((reason) => told.push(reason));
          database.faults.push(fault, fault, fault);
          await expect(publish("failed", { retain: true })).rejects.toMatchObject({ code: "store_unusable" });
          expect(persistence.fault()).toMatch(/the test's store failed: a batch could not be written/);
          // At once: what a full disk is asked for again and again would hold up everything else.
          await expect(publish("refused")).rejects.toMatchObject({ code: "store_unusable" });
          expect(await owed(FIRST)).toEqual(["before"]);
          expect(await retained()).toEqual({});
          expect(await publish("for nobody", { topic: "x" })).toBe(false);
          persistence.storeRetained(message("in memory", { qos: 0, retain: true }));

          await vi.waitFor(async () => {
            await vi.advanceTimersByTimeAsync(500);
            expect(persistence.fault()).toBeNull();
          });
          expect(database.reopened).toBe(3);
          expect(told).toEqual([expect.stringContaining("failed"), null]);
          await publish("after");
          await closeAndOpen();
          expect(await owed(FIRST)).toEqual(["before", "after"]);
          expect(await retained()).toEqual({ "a/b": "in memory" });
        },
      );
    });
  });
}
