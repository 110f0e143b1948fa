import { createHash } from "node:crypto";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BY_DIRECTORY } from "../../broker/directory/drafts.ts";
import { type EventBatch, type Receipt, SignedEvent } from "../../lib/contracts/events.ts";
import { Presence, Status, Summary } from "../../lib/contracts/machine.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import { verifySignature } from "../../lib/ledger/signature.ts";
import { receiveEvents } from "../../lib/messaging/event-receiver.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { createKey, type KeyPair } from "../../lib/runtime/keys.ts";
import { signToken } from "../../lib/runtime/token.ts";
import type { TestHub } from "../support/hub.ts";
import { SILENT } from "../support/silent.ts";
import { watch } from "../support/until.ts";
import { MACHINE, startPlantWithAgent } from "./support/running-agent.ts";

const fields = { machine: MACHINE, lot: "L-1", good: 5 };
type Plant = Awaited<ReturnType<typeof startPlantWithAgent>>;

let plant: Plant;
const serviceKeys = new Map<string, KeyPair>();

beforeEach(async () => {
  serviceKeys.clear();
  plant = await startPlantWithAgent();
});
afterEach(() => plant.close());

/** Signs in as a service; at a hub that is back with the key that it had before. */
async function service(hub: TestHub, name: string): Promise<Link> {
  const known = serviceKeys.get(name);
  const key = known ?? createKey();
  if (known === undefined) {
    serviceKeys.set(name, key);
    await hub.directory.devices.addService(BY_DIRECTORY, name, key.publicRaw.toString("base64"));
  }
  const { privateKey } = key;
  return hub.link(name, () => signToken({ sub: name, aud: hub.plant, privateKey, now: Date.now, nonce: v7() }));
}

/** What the fleet sees of the machine. */
async function follow(hub: TestHub) {
  const seen = watch({ statuses: [] as Status[], presences: [] as Presence[], summaries: [] as Summary[] });
  const link = await service(hub, "fleet");
  const take = <T>(list: T[], value: T) => {
    list.push(value);
    seen.changed();
  };
  await link.subscribe(topics.status(MACHINE), (_, bytes) =>
    take(seen.value.statuses, parseJson(Status, bytes, "status")),
  );
  await link.subscribe(topics.presence(MACHINE), (_, bytes) =>
    take(seen.value.presences, parseJson(Presence, bytes, "presence")),
  );
  await link.subscribe(topics.summary(MACHINE), (_, bytes) =>
    take(seen.value.summaries, parseJson(Summary, bytes, "summary")),
  );
  return seen;
}

/** A book's service at its simplest: everything is booked, in order. */
async function book(hub: TestHub, name: BookName) {
  const booked = watch<SignedEvent[]>([]);
  const link = await service(hub, name);
  const receive = async (_from: string, batch: EventBatch) => {
    const events = batch.events.map((event) => SignedEvent.parse(event));
    booked.value.push(...events);
    booked.changed();
    return { v: 1 as const, epoch: batch.epoch, receipts: events.map(({ event }) => receiptOf(event.id, name)) };
  };
  await receiveEvents({
    link,
    book: name,
    receive,
    onRefused: (refused) => expect.unreachable(JSON.stringify(refused)),
    log: SILENT,
  });
  return booked;
}

function receiptOf(id: string, name: BookName): Receipt {
  return { id, status: "booked", book: name, seq: 0, leaf: createHash("sha256").update(id).digest("hex") };
}

function isSigned({ event, sig }: SignedEvent): boolean {
  return verifySignature(plant.key.publicRaw, canonicalBytes(event), sig ?? "");
}

async function receiptComes(id: string): Promise<unknown> {
  return expect
    .poll(async () => (await plant.ask("GET", `/entries/${id}`)).body["status"], { timeout: 20_000 })
    .toEqual(receiptOf(id, "production"));
}

describe("an agent at its hub", () => {
  test("reports its status again and again, with real figures and rising numbers", async () => {
    const seen = await follow(plant.hub());
    const { statuses } = await seen.until(({ statuses }) => statuses.length >= 500);
    expect(statuses.every((status, index) => index === 0 || status.seq > (statuses[index - 1]?.seq ?? 0))).toBe(true);
    const last = statuses.at(-1);
    expect(Math.abs((last?.t ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(last?.mem).toBeGreaterThan(0);
    expect(last?.disk).toBeGreaterThan(0);
  });

  test("is online by its birth, and tells a person what it is", async () => {
    const seen = await follow(plant.hub());
    const { presences, summaries } = await seen.until(
      ({ presences, summaries }) => presences.length > 0 && summaries.some(({ status }) => status.rateMilliHz > 0),
    );
    expect(presences[0]).toMatchObject({ online: true, why: "birth", key: plant.key.fingerprint });
    const summary = summaries.at(-1);
    expect(summary).toMatchObject({
      app: expect.stringMatching(/^edge-agent@\d/) as string,
      host: { node: process.version },
    });
    expect(summary?.agentRssMiB).toBeGreaterThan(10);
    // Asked of the directory before the password was made.
    expect(Math.abs(summary?.clock.offsetMs ?? Number.NaN)).toBeLessThan(60_000);
  });

  test("puts a stale word about itself right", async () => {
    const seen = await follow(plant.hub());
    const { presences } = await seen.until(({ presences }) => presences.length > 0);
    const fleet = await service(plant.hub(), "fleet");
    const stale = JSON.stringify({ ...presences[0], online: false, why: "hub-restart", connection: "an-earlier-one" });
    await fleet.publish(topics.presence(MACHINE), stale, { qos: 1, retain: true });
    await seen.until(({ presences }) => presences.at(-2)?.why === "hub-restart" && presences.at(-1)?.online === true);
    expect(presences.at(-1)?.connection).toBe(presences[0]?.connection);
  });

  test("tells audit of its start, signed", async () => {
    const audit = await book(plant.hub(), "audit");
    const ofAgent = ({ event }: SignedEvent) => event.type === "agent.started";
    const started = (await audit.until((events) => events.some(ofAgent))).find(ofAgent);
    expect(started?.event).toMatchObject({
      type: "agent.started",
      actor: { sub: MACHINE, auth: "device" },
      obj: { kind: "machine", key: MACHINE },
      payload: { node: process.version, key: plant.key.fingerprint },
    });
    expect(started && isSigned(started)).toBe(true);
  });

  test("an entry handed in at the door is booked, and the door shows its receipt", async () => {
    const production = await book(plant.hub(), "production");
    const id = v7();
    expect(await plant.ask("POST", "/entries", { id, fields })).toMatchObject({ status: 202 });
    await receiptComes(id);
    const [entry] = production.value;
    expect(entry?.event).toMatchObject({
      id,
      type: "entry.created",
      obj: { kind: "entry", key: id },
      src: { name: MACHINE },
    });
    expect(entry && isSigned(entry)).toBe(true);
    expect((await plant.ask("GET", "/outbox")).body).toMatchObject({
      0: { book: "production", waiting: 0, sealed: 1 },
    });
  });

  test("ends with a farewell", async () => {
    const seen = await follow(plant.hub());
    await seen.until(({ presences }) => presences.length > 0);
    await plant.agent.stop();
    const { presences } = await seen.until(({ presences }) => presences.at(-1)?.online === false);
    expect(presences.at(-1)).toMatchObject({ why: "shutdown", connection: presences[0]?.connection });
  });
});

describe("an agent whose hub goes and comes back", () => {
  test("keeps what is handed in meanwhile, in order, and delivers it; statuses and presence return", async () => {
    await plant.takeHubAway();
    const ids = Array.from({ length: 40 }, () => v7());
    for (const [good, id] of ids.entries()) {
      expect((await plant.ask("POST", "/entries", { id, fields: { ...fields, good } })).status).toBe(202);
    }
    expect((await plant.ask("GET", `/entries/${ids[0]}`)).body).toEqual({ id: ids[0], status: "waiting" });

    const hub = await plant.bringHubBack();
    const production = await book(hub, "production");
    await production.until((events) => new Set(events.map(({ event }) => event.id)).size === ids.length);
    const arrived = [...new Set(production.value.map(({ event }) => event.id))];
    expect(arrived).toEqual(ids);
    await receiptComes(ids.at(-1) ?? "");
    const seen = await follow(hub);
    await seen.until(({ statuses, presences }) => statuses.length > 100 && presences.at(-1)?.online === true);
  });
});

describe("an agent that is killed", () => {
  test("is announced by its will, comes back by itself, and has lost nothing", async () => {
    const hub = plant.hub();
    const seen = await follow(hub);
    await seen.until(({ presences }) => presences.length > 0);
    const id = v7();
    await plant.ask("POST", "/entries", { id, fields });
    plant.agent.kill();
    const { presences } = await seen.until(({ presences }) => presences.some(({ why }) => why === "will"));
    await seen.until(({ presences }) => presences.at(-1)?.online === true);
    expect(presences.at(-1)?.boot).not.toBe(presences[0]?.boot);
    expect(presences.find(({ why }) => why === "will")?.connection).toBe(presences[0]?.connection);

    await plant.agent.ready;
    const production = await book(hub, "production");
    await production.until((events) => events.some(({ event }) => event.id === id));
    await receiptComes(id);
  });
});
