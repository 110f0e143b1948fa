import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { v7 as newId } from "uuid";
import { afterEach, beforeEach, describe, expect, it, type TestContext, vi } from "vitest";
import type { Event, EventDraft, Receipt } from "../../lib/contracts/events.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createOutboxSender, type OutboxSender } from "../../lib/messaging/outbox-sender.ts";
import type { Principals } from "../../lib/messaging/principals.ts";
import { createRequester } from "../../lib/messaging/request-client.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { type Audit, startAudit } from "../../services/audit/start-audit.ts";
import { type Production, startProduction } from "../../services/production/start-production.ts";
import { CONTROL_NOT_RUN } from "../conformance/brokers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { logKeysOf } from "../support/log-keys.ts";
import { NO_BACKUPS } from "../support/backups.ts";
import { SILENT } from "../support/silent.ts";
import { witnessingOf } from "../support/witnessing.ts";
import type { FLOW_BROKERS, FlowBroker, Member, Users } from "./flow-brokers.ts";

const MACHINES = ["press-01", "press-02", "press-03"] as const;
const USERS: Users = {
  production: "service",
  audit: "service",
  maria: "operator",
  ...Object.fromEntries(MACHINES.map((name) => [name, "machine" as const])),
};
/** Longer than any test: where a test does not set it shorter, nothing is sent again for want of a receipt. */
const NEVER_MS = 600_000;

type Machine = { name: string; outbox: Outbox; sender: OutboxSender; link: Link };

/**
 * What outboxes, books and requests promise whichever broker carries them: real stores and the real services, with a
 * broker that goes away in the middle and comes back with an empty memory.
 */
export function failOverSuite({ name, start }: (typeof FLOW_BROKERS)[number]): void {
  describe(`outboxes, books and requests over ${name}`, () => {
    let broker: FlowBroker;
    let folder: string;
    let installed: boolean;
    const undo: (() => Promise<unknown>)[] = [];

    beforeEach(async (context) => {
      const started = await start(USERS);
      installed = started !== null;
      if (started === null) return tellNotRun(context);
      broker = started;
      undo.push(() => broker.close());
      folder = await temporaryFolder();
    });

    afterEach(async () => {
      for (const step of undo.splice(0).toReversed()) await step();
    });

    it("brings every event into both books once and in order, though the broker is killed three times", async () => {
      if (!installed) return;
      const production = await openProduction();
      const audit = await openAudit();
      const machines = await Promise.all(MACHINES.map((machine) => openMachine(machine, { receiptTimeoutMs: 1000 })));
      for (const machine of machines) await stage(machine, 200);
      for (const mark of [60, 250, 480]) {
        await vi.waitUntil(() => production.book.head().size >= mark, PATIENCE);
        await broker.kill();
        await broker.start();
      }
      for (const machine of machines) await stage(machine, 20);
      await vi.waitUntil(() => machines.every(({ outbox }) => outbox.depth().waiting === 0), PATIENCE);
      // Beside these the audit book has checkpoints of production's.
      const told = () => recordsOf(audit.book).filter(({ event }) => event.type === "record.booked");
      await vi.waitUntil(() => audit.book.head().size >= 660 && told().length >= 660, PATIENCE);

      const records = recordsOf(production.book);
      for (const { name, outbox } of machines) {
        const own = records.filter(({ event }) => event.src.name === name);
        expect(own.map(({ event }) => event.src.outbox?.dseq)).toEqual(counted(220));
        expect(own.every(({ event }) => event.src.outbox?.epoch === outbox.epoch)).toBe(true);
        for (const { event, seq } of own)
          expect(await outbox.receiptOf(event.id)).toEqual(receipt(production, event.id, seq));
      }
      expect(records).toHaveLength(660);
      expect(told().map(({ event }) => event.payload["seq"])).toEqual(counted(660).map((n) => n - 1));
      for (const book of [production.book, audit.book]) {
        const { size } = book.head();
        expect(await book.verify({ keyOf })).toMatchObject({ ok: true, signatures: { checked: size, unknownKey: 0 } });
      }
    });

    it("goes on at once with a service that was started again, without waiting for the silence", async () => {
      if (!installed) return;
      const first = await openProduction();
      const machines = await Promise.all(MACHINES.map((machine) => openMachine(machine, {})));
      for (const machine of machines) await stage(machine, 30);
      await vi.waitUntil(() => machines.every(({ outbox }) => outbox.depth().waiting === 0), PATIENCE);
      await first.close();
      for (const machine of machines) await stage(machine, 30);
      await vi.waitUntil(() => machines.every(({ sender }) => sender.state().inFlight === 30), PATIENCE);
      const second = await openProduction();
      await vi.waitUntil(() => machines.every(({ sender }) => sender.state().inFlight === 0), PATIENCE);
      for (const { name, sender } of machines) {
        const own = recordsOf(second.book).filter(({ event }) => event.src.name === name);
        expect(own.map(({ event }) => event.src.outbox?.dseq)).toEqual(counted(60));
        expect(sender.state()).toMatchObject({ timeouts: 0, lastError: null });
      }
    });

    it("answers each request once, though the broker is killed between question and answer", async () => {
      if (!installed) return;
      const production = await openProduction();
      const maria = member("maria");
      const link = await open("maria");
      const asker = createRequester({ link, user: "maria", session: maria.session, newId, now: Date.now });
      const ids = counted(60).map(() => newId());
      const add = async (id: string) => {
        const fields = { machine: "press-01", lot: "L-1", good: 1 };
        const body = { id, at: new Date().toISOString(), tz: "UTC", fields };
        return (await asker.call("production", "entry-add", body, { timeoutMs: 60_000 })).receipt;
      };
      const given = ids.slice(0, 20).map(add);
      await vi.waitUntil(() => production.book.head().size > 0, PATIENCE);
      await broker.kill();
      given.push(...ids.slice(20, 40).map(add));
      await broker.start();
      given.push(...ids.slice(40).map(add));
      const receipts = await Promise.all(given);
      const seqs = new Map(recordsOf(production.book).map(({ event, seq }) => [event.id, seq]));
      expect(production.book.head().size).toBe(60);
      expect(receipts).toEqual(ids.map((id) => receipt(production, id, seqs.get(id) as number)));
    });

    it("lets nobody send in another's name", async () => {
      if (!installed) return;
      const production = await openProduction();
      const [one, two] = await Promise.all([openMachine("press-01", {}), openMachine("press-02", {})]);
      const batch = { v: 1, epoch: two.outbox.epoch, floor: 1, events: [{ event: "what press-01 says of press-02" }] };
      // Mosquitto says nothing to a publish that it denies, and neither is it an error.
      await one.link.publish("machines/press-02/events/production", JSON.stringify(batch), { qos: 1 });
      await stage(one, 1);
      await stage(two, 1);
      await vi.waitUntil(() => production.book.head().size === 2, PATIENCE);
      expect(recordsOf(production.book).map(({ event }) => event.type)).toEqual(["entry.created", "entry.created"]);
    });

    function member(name: string): Member {
      const found = broker.members[name];
      if (found === undefined) throw new Error(`no ${name} is registered`);
      return found;
    }

    async function open(name: string): Promise<Link> {
      const { password } = member(name);
      const link = openLink({ url: broker.url, name, password, log: SILENT, random: randomBytes });
      undo.push(() => link.close());
      await link.whenConnected();
      return link;
    }

    /** The parts of a service as its `main.ts` puts them together, on a folder that outlives it. */
    async function serviceParts(name: "production" | "audit") {
      const store = await Store.openFolder(join(folder, name));
      const { key } = member(name);
      const signBytes = (bytes: Uint8Array) => sign(key.privateKey, bytes);
      return {
        store,
        link: await open(name),
        principals: principals(),
        personKeys: { of: async () => null, forget: () => undefined },
        self: { name, app: `${name}@test`, sign: signBytes, key: key.fingerprint, tz: "UTC", now: Date.now },
        keysOfProduction: async () => logKeysOf(`plant-test/production`).known(),
        logKeys: logKeysOf(`plant-test/${name}`),
        headNote: join(folder, `${name}.note`),
        backups: NO_BACKUPS,
        witnessing: witnessingOf(),
        newId,
        random: randomBytes,
        log: SILENT,
      };
    }

    async function openProduction(): Promise<Production> {
      const parts = await serviceParts("production");
      return closing(parts, await startProduction({ ...parts, sign: parts.self.sign }));
    }

    async function openAudit(): Promise<Audit> {
      const parts = await serviceParts("audit");
      return closing(parts, await startAudit({ ...parts }));
    }

    /** Closing it, by the test or at its end, closes its link and store as well. */
    function closing<S extends { close(): Promise<void> }>(parts: { link: Link; store: Store }, service: S): S {
      let closed: Promise<void> | null = null;
      const whole = { ...service, close: () => (closed ??= closeAll()) };
      const closeAll = async () => {
        await service.close();
        await parts.link.close();
        await parts.store.close();
      };
      undo.push(whole.close);
      return whole;
    }

    function principals(): Principals {
      const all = Object.values(broker.members).map((one) => one.principal);
      return {
        byName: (name) => all.find((one) => one.name === name),
        bySub: (sub) => all.find((one) => one.sub === sub),
        all: () => all,
        whenLoaded: () => Promise.resolve(),
        onChange: () => undefined,
      };
    }

    async function openMachine(name: string, o: { receiptTimeoutMs?: number }): Promise<Machine> {
      const { key } = member(name);
      const store = await Store.openFolder(join(folder, name));
      undo.push(() => store.close());
      const outbox = await Outbox.open({
        store,
        book: "production",
        name,
        app: "edge-agent@test",
        sign: (bytes) => sign(key.privateKey, bytes),
        random: randomBytes,
        now: Date.now,
      });
      const link = await open(name);
      const sender = createOutboxSender({
        link,
        outbox,
        owner: { kind: "machines", name },
        log: SILENT,
        now: Date.now,
        batchEvents: 16,
        receiptTimeoutMs: o.receiptTimeoutMs ?? NEVER_MS,
      });
      sender.start();
      undo.push(() => sender.stop());
      stores.set(outbox, store);
      return { name, outbox, sender, link };
    }

    const stores = new WeakMap<Outbox, Store>();

    async function stage({ name, outbox }: Machine, count: number): Promise<void> {
      const store = stores.get(outbox) as Store;
      await Promise.all(counted(count).map(() => store.write((tx) => void outbox.stage(tx, entry(name)))));
    }

    function keyOf(name: string): Buffer | null {
      return broker.members[name]?.key.publicRaw ?? null;
    }
  });
}

const PATIENCE = { timeout: 60_000, interval: 5 };

async function tellNotRun(context: TestContext): Promise<void> {
  console.warn(CONTROL_NOT_RUN);
  await context.annotate(CONTROL_NOT_RUN, "warning");
}

function entry(machine: string): EventDraft {
  const id = newId();
  return {
    id,
    type: "entry.created",
    at: new Date().toISOString(),
    tz: "UTC",
    clock: { source: "ntp", offsetMs: 0 },
    actor: { sub: machine, auth: "device" },
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields: { machine, lot: "L-1", good: 1 } },
  };
}

function recordsOf(book: Book): { seq: number; event: Event }[] {
  return counted(book.head().size).map((n) => ({ seq: n - 1, event: book.open(n - 1)?.event as Event }));
}

function receipt({ book }: Production, id: string, seq: number): Receipt {
  return { id, status: "booked", book: "production", seq, leaf: book.leafAt(seq) as string };
}

function counted(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
