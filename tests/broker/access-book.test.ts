import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientOptions } from "mqtt";
import { v7 } from "uuid";
import { expect, it, onTestFinished, vi } from "vitest";
import { type AccessBook, openAccessBook } from "../../broker/access-book.ts";
import type { EventDraft, Sealed } from "../../lib/contracts/events.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { Outbox } from "../../lib/storage/outbox.ts";
import { unseal } from "../../lib/storage/sealing.ts";
import { Store } from "../../lib/storage/store.ts";
import { startAudit } from "../../services/audit/start-audit.ts";
import { joinAsPerson, joinAsService } from "../services/join-hub.ts";
import { startTestHub, type TestHub } from "../support/hub.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { SILENT } from "../support/silent.ts";

/* What the hub sees of access, from a connection to a record that an auditor reads. */

type Record = LedgerRecord & { event: EventDraft };

async function startPlantOfAccess() {
  let book: AccessBook | null = null;
  const clock = { ahead: 0 };
  const now = () => Date.now() + clock.ahead;
  let flush: (() => void)[] = [];
  const hub: TestHub = await startTestHub({
    onAccess: (event) => book?.ofConnection(event),
    onRefusedRequest: (refused) => book?.ofRequest(refused),
  });
  onTestFinished(() => hub.close());
  await hub.addPerson("maria", "operator");
  await hub.addPerson("ada", "analyst");
  await hub.addMachine("ipc-01");

  const broker = await hub.addService("broker");
  const store = await Store.inMemory();
  const outbox = await Outbox.open({
    store,
    book: "audit",
    name: "broker",
    app: "broker@test",
    sign: (bytes) => sign(broker.key.privateKey, bytes),
    random: (bytes) => Buffer.from(v7().replaceAll("-", ""), "hex").subarray(16 - bytes),
    now,
  });
  book = openAccessBook({
    store,
    outbox,
    principalOf: (name) => hub.directory.register.principal(name),
    keyOf: (sub) => hub.directory.people.key(sub),
    service: { name: "broker", tz: "America/Sao_Paulo", now },
    newId: v7,
    random: (bytes) => Buffer.alloc(bytes, 9),
    repeat: (task) => {
      flush = [...flush, task];
      return () => (flush = []);
    },
    log: SILENT,
  });
  const owner = { kind: "services", name: "broker" } as const;
  const link = await hub.link("broker", broker.password);
  const sender = createOutboxSender({ link, outbox, owner, log: SILENT, now: Date.now });
  sender.start();

  const folder = await mkdtemp(join(tmpdir(), "rastro-access-"));
  const auditStore = await Store.openFolder(join(folder, "store"));
  const parts = await joinAsService(hub, await hub.addService("audit"), auditStore);
  const audit = await startAudit({ ...parts, headNote: join(folder, "head.note"), verifyAt: "02:00" });
  onTestFinished(async () => {
    await book?.close();
    await sender.stop();
    await audit.close();
    await parts.link.close();
    await auditStore.close();
    await store.close();
    await rm(folder, { recursive: true });
  });

  const ada = await joinAsPerson(hub, "ada");
  return {
    hub,
    /** A minute passes for the counts. */
    minute() {
      clock.ahead += 61_000;
      for (const task of flush) task();
    },
    records: async (type: string): Promise<Record[]> => {
      const { rows } = await ada.call("audit", "audit-tail", { limit: 200 });
      return rows.map(({ record }) => record as Record).filter(({ event }) => event.type === type);
    },
    connect: (user: string, password: string, options: IClientOptions = {}) =>
      mqtt.connectAsync(hub.url, { protocolVersion: 4, reconnectPeriod: 0, username: user, password, ...options }),
  };
}

it("wrong passwords are a record at once and a count later, without a name or an address in clear", async () => {
  const { hub, records, minute, connect } = await startPlantOfAccess();
  const sub = hub.directory.register.principal("maria")?.sub ?? "";
  const attempt = async (index: number) => {
    await expect(connect("maria", "wrong", { clientId: `try-${index}` })).rejects.toThrow(/refused/i);
  };
  await attempt(0);
  await vi.waitFor(async () => expect(await records("connection.refused")).toHaveLength(1));
  for (let index = 1; index < 20; index += 1) await attempt(index);
  minute();

  await vi.waitFor(async () => expect(await records("connection.refused")).toHaveLength(4));
  const told = (await records("connection.refused")).map(({ event, added, via }) => ({ event, added, via }));
  // Five are looked at, fifteen are locked out: each has its first and its count.
  const counted = told.map(({ event: { payload } }) => ({ by: payload["by"], count: payload["count"] }));
  const expected = { bad_credentials: [1, 4], locked_out: [1, 14] };
  for (const [by, counts] of Object.entries(expected)) {
    for (const count of counts) expect(counted).toContainEqual({ by, count });
  }
  for (const { event, added, via } of told) {
    expect({ result: added.result, via: via.name }).toEqual({ result: "booked", via: "broker" });
    // Whoever it was has not shown to be Maria.
    expect(event).toMatchObject({ actor: { sub: "broker", auth: "service" }, obj: { kind: "person", key: sub } });
    expect(JSON.stringify(event)).not.toMatch(/maria|127\.0\.0\.1|try-/);
    const key = Buffer.from((await hub.directory.people.key(sub)).key, "base64");
    expect(unseal(key, event.payload["address"] as Sealed, `${event.id}/address`)).toBe("127.0.0.1");
  }
});

it("a name that nobody has is not written down, over MQTT and over HTTP", async () => {
  const { hub, records, connect } = await startPlantOfAccess();
  await expect(connect("hunter2", "hunter2")).rejects.toThrow(/refused/i);
  const directory = createDirectoryClient({ url: hub.directoryUrl });
  await expect(directory.signIn({ user: "hunter2", password: "hunter2", app: "test" })).rejects.toMatchObject({
    code: "bad_credentials",
  });
  await expect(directory.signIn({ user: "maria", password: "wrong", app: "test" })).rejects.toMatchObject({
    code: "bad_credentials",
  });
  await vi.waitFor(async () => expect(await records("session.refused")).toHaveLength(2));
  const told = [...(await records("connection.refused")), ...(await records("session.refused"))];
  expect(JSON.stringify(told)).not.toMatch(/hunter2|maria/);
  const sub = hub.directory.register.principal("maria")?.sub;
  const whose = told.map(({ event }) => event.obj.key);
  expect(whose.filter((key) => key === "unknown")).toHaveLength(2);
  expect(whose).toContain(sub);
});

it("an agent that comes and goes is one record, a person with a password one each minute", async () => {
  const { hub, records, minute, connect } = await startPlantOfAccess();
  const { secret } = await hub.addDevice("press-07");
  for (let index = 0; index < 10; index += 1) await (await connect("press-07", secret)).endAsync();
  minute();
  for (let index = 0; index < 3; index += 1) await (await connect("maria", "maria-password")).endAsync();
  minute();
  const admittedAs = async (key: string) =>
    (await records("connection.admitted")).filter(({ event }) => event.actor.sub === key);
  const sub = hub.directory.register.principal("maria")?.sub ?? "";
  await vi.waitFor(async () => expect(await admittedAs(sub)).toHaveLength(2));
  expect((await admittedAs(sub)).map(({ event }) => event.payload["count"])).toEqual([2, 1]);
  expect(await admittedAs("press-07")).toMatchObject([
    { event: { actor: { auth: "device" }, payload: { by: "key", count: 1, address: null } } },
  ]);
});

it("a takeover, refused packets and a connection that was cut are each on record", async () => {
  const { hub, records, connect } = await startPlantOfAccess();
  const { secret } = await hub.addDevice("press-07");
  const first = await connect("press-07", secret, { clientId: "one" });
  first.on("error", () => undefined);
  const second = await connect("press-07", secret, { clientId: "one" });
  onTestFinished(() => second.endAsync(true));
  second.on("error", () => undefined);
  await second.publishAsync("requests/maria/a1/production/entry-add/r1", "{}", { qos: 1 });
  await second.subscribeAsync("machines/ipc-01/commands/#").catch(() => undefined);
  second.publish("machines/press-07/summary", Buffer.alloc(300_000));
  await vi.waitFor(async () => expect(await records("connection.ended")).toHaveLength(1));
  expect(await records("connection.taken-over")).toMatchObject([{ event: { actor: { sub: "press-07" } } }]);
  const packets = (await records("packet.refused")).map(({ event }) => ({
    what: event.payload["what"],
    obj: event.obj,
  }));
  expect(packets).toHaveLength(2);
  expect(packets).toContainEqual({
    what: "publish-refused",
    obj: { kind: "topic", key: "requests/production/entry-add" },
  });
  expect(packets).toContainEqual({
    what: "subscribe-refused",
    obj: { kind: "topic", key: "machines/ipc-01/commands/#" },
  });
  expect(await records("connection.ended")).toMatchObject([
    { event: { obj: { kind: "machine", key: "press-07" }, payload: { what: "frame-refused", by: "too_large" } } },
  ]);
});
