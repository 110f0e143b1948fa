import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import type { EventBatch } from "../../../lib/contracts/events.ts";
import { SignedEvent } from "../../../lib/contracts/events.ts";
import { Summary } from "../../../lib/contracts/machine.ts";
import { parseJson } from "../../../lib/contracts/parse.ts";
import { filters, topics } from "../../../lib/contracts/topics.ts";
import { parseWitnessAnswer, WitnessAlarm, type WitnessAnswer, WitnessOffer } from "../../../lib/contracts/witness.ts";
import { type Cosigner, cosignersOf, parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { formatRotation } from "../../../lib/ledger/key-rotation.ts";
import { parseVerifierKey } from "../../../lib/ledger/signed-note.ts";
import { receiveEvents } from "../../../lib/messaging/event-receiver.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import { createKey, type KeyPair } from "../../../lib/runtime/keys.ts";
import { readRunFile } from "../../../lib/runtime/run-files.ts";
import { signToken } from "../../../lib/runtime/token.ts";
import { originHash } from "../../../lib/witness/log-notes.ts";
import { keyOfSeed } from "../../lib/ledger/keys.ts";
import { history, LOG_VKEY, ORIGIN } from "../../lib/witness/test-log.ts";
import type { TestHub } from "../../support/hub.ts";
import { SILENT } from "../../support/silent.ts";
import { watch, type Watched } from "../../support/until.ts";
import { MACHINE, startPlantWithAgent } from "../support/running-agent.ts";

const honest = history("a", { size: 60, fork: 9 });
const other = history("b", { size: 60, fork: 9 });

let plant: Awaited<ReturnType<typeof startPlantWithAgent>>;
let auditKey: KeyPair;

beforeEach(async () => {
  plant = await startPlantWithAgent({ logs: `${LOG_VKEY}\n` });
  auditKey = createKey();
  const publicKey = auditKey.publicRaw.toString("base64");
  await plant.hub().directory.devices.addService(BY_DIRECTORY, "audit", publicKey);
});
afterEach(() => plant.close());

type Heard = Watched<{ answers: Map<string, WitnessAnswer | null>; alarms: (WitnessAlarm | null)[] }>;

/** Its subscriptions stand: what is asked of it arrives. */
async function agentConnected(): Promise<void> {
  await plant.agent.ready;
  const ready = async () => (await fetch(`${readRunFile(plant.folders.data, "edge-agent")?.url}/readyz`)).status;
  await expect.poll(() => ready().catch(() => 0), { timeout: 20_000 }).toBe(200);
}

/** The log's side at its simplest: asks, and hears answers and alarms. */
async function auditAt(hub: TestHub) {
  await agentConnected();
  const { privateKey } = auditKey;
  const link = await hub.link("audit", () =>
    signToken({ sub: "audit", aud: hub.plant, privateKey, now: Date.now, nonce: v7() }),
  );
  const heard: Heard = watch({
    answers: new Map<string, WitnessAnswer | null>(),
    alarms: [] as (WitnessAlarm | null)[],
  });
  await link.subscribe(filters.everyWitnessResponse, (topic, payload) => {
    heard.value.answers.set(topic, parseWitnessAnswer(payload.toString()));
    heard.changed();
  });
  await link.subscribe(filters.everyWitnessAlarm, (_topic, payload) => {
    heard.value.alarms.push(payload.length === 0 ? null : parseJson(WitnessAlarm, payload, "an alarm"));
    heard.changed();
  });
  return { link, heard, ask: (request: string) => askOver(link, heard, request) };
}

async function askOver(link: Link, heard: Heard, request: string) {
  const id = v7();
  const topic = topics.witnessResponse(MACHINE, "audit", id);
  await link.publish(topics.witnessAdd(MACHINE, "audit", id), request, { qos: 1 });
  const { answers } = await heard.until(({ answers }) => answers.has(topic));
  return answers.get(topic) ?? null;
}

async function offered(link: Link): Promise<SignedEvent[]> {
  const told = watch<SignedEvent[]>([]);
  const receive = async (_from: string, batch: EventBatch) => {
    told.value.push(...batch.events.map((event) => SignedEvent.parse(event)));
    told.changed();
    return { v: 1 as const, epoch: batch.epoch, receipts: [] };
  };
  await receiveEvents({ link, book: "audit", receive, onRefused: () => {}, log: SILENT });
  await told.until((events) => events.some(({ event }) => event.type === "witness.offered"));
  return told.value.filter(({ event }) => event.type === "witness.offered");
}

function cosigners(size: number, answer: WitnessAnswer | null, vkey: string): Cosigner[] {
  const lines = answer?.status === 200 ? answer.signatures : "";
  return cosignersOf(parseCheckpoint(`${honest.checkpoint(size)}${lines}`), [parseVerifierKey(vkey)]);
}

describe("an agent as a witness", () => {
  test("offers its key to the audit book and cosigns with it; the key is for nobody else's eyes", async () => {
    const audit = await auditAt(plant.hub());
    const [event] = await offered(audit.link);
    const offer = WitnessOffer.parse(event?.event.payload);
    expect(event?.event).toMatchObject({
      actor: { sub: MACHINE, auth: "device" },
      obj: { kind: "witness", key: MACHINE },
    });
    expect(offer.vkey.startsWith(`${MACHINE}.${plant.hub().plant}/witness+`)).toBe(true);
    expect((await stat(plant.folders.agentWitnessKey(MACHINE))).mode & 0o777).toBe(0o600);

    expect(cosigners(30, await audit.ask(honest.request(0, 30)), offer.vkey)).toHaveLength(1);
    expect(await audit.ask(honest.request(0, 31))).toMatchObject({ status: 409, size: 30 });
    expect(await audit.ask(history("a", { size: 3, origin: "plant-2/audit" }).request(0, 3))).toMatchObject({
      status: 404,
    });
    expect(await audit.ask("nonsense")).toMatchObject({ status: 400 });
  });

  test("what it has cosigned holds when it is killed and the hub has gone in between", async () => {
    const before = await auditAt(plant.hub());
    expect(await before.ask(honest.request(0, 20))).toMatchObject({ status: 200 });
    plant.agent.kill();
    await plant.takeHubAway();
    const audit = await auditAt(await plant.bringHubBack());
    expect(await audit.ask(other.request(0, 20))).toMatchObject({ status: 409, size: 20 });
    expect(await audit.ask(honest.request(20, 45))).toMatchObject({ status: 200 });
  });

  test("accuses a forked log on its own topic, over restarts, until somebody at the machine clears it", async () => {
    const audit = await auditAt(plant.hub());
    await audit.ask(honest.request(0, 20));
    expect(await audit.ask(other.request(20, 20))).toMatchObject({ status: 422 });
    const { alarms } = await audit.heard.until(({ alarms }) => Boolean(alarms.at(-1)));
    expect(alarms.at(-1)).toMatchObject({ alarm: "forked", origin: ORIGIN, seen: other.checkpoint(20) });
    expect(alarms.at(-1)?.cosigned).toContain(honest.checkpoint(20));
    await summaryWith(({ witness }) => witness[0]?.alarm === "forked");

    await plant.takeHubAway();
    plant.agent.kill();
    const again = await auditAt(await plant.bringHubBack());
    await again.heard.until(({ alarms }) => alarms.at(-1)?.alarm === "forked");
    await rm(join(plant.folders.agentWitness(MACHINE), `${originHash(ORIGIN)}.alarm`));
    await again.heard.until(({ alarms }) => alarms.at(-1) === null);
  }, 40_000);

  test("that cannot use its witness's files witnesses nothing, and everything else of it works", async () => {
    await plant.agent.stop();
    await writeFile(plant.folders.agentWitnessKey(MACHINE), "half a key");
    await plant.agent.start();
    await agentConnected();
    const url = readRunFile(plant.folders.data, "edge-agent")?.url;
    const readiness = (await (await fetch(`${url}/readyz`)).json()) as { ready: boolean; alarms: string[] };
    expect(readiness).toMatchObject({ ready: true, alarms: [expect.stringContaining("witnesses nothing")] });
  });

  test("follows the log to another key", async () => {
    const audit = await auditAt(plant.hub());
    await audit.ask(honest.request(0, 20));
    const renewed = history("a", { size: 60, fork: 9, seed: 2 });
    expect(await audit.ask(renewed.request(20, 30))).toMatchObject({ status: 403 });
    const rotations = [formatRotation(ORIGIN, { from: keyOfSeed(1), to: keyOfSeed(2) })];
    await audit.link.publish(topics.rotations("audit"), JSON.stringify({ v: 1, rotations }), { qos: 1, retain: true });
    expect(await audit.ask(renewed.request(20, 30))).toMatchObject({ status: 200 });
  });

  test("looks at what is published, whoever asks it or not", async () => {
    const audit = await auditAt(plant.hub());
    await audit.ask(honest.request(0, 20));
    await audit.link.publish(topics.checkpoint("audit"), honest.checkpoint(20), { qos: 1, retain: true });
    await audit.link.publish(topics.checkpoint("audit"), other.checkpoint(20), { qos: 1, retain: true });
    const { alarms } = await audit.heard.until(({ alarms }) => Boolean(alarms.at(-1)));
    expect(alarms.at(-1)).toMatchObject({ alarm: "forked", seen: other.checkpoint(20) });
  });

  async function summaryWith(condition: (summary: Summary) => boolean): Promise<void> {
    const fleetKey = createKey();
    const hub = plant.hub();
    await hub.directory.devices.addService(BY_DIRECTORY, "fleet", fleetKey.publicRaw.toString("base64"));
    const { privateKey } = fleetKey;
    const link = await hub.link("fleet", () =>
      signToken({ sub: "fleet", aud: hub.plant, privateKey, now: Date.now, nonce: v7() }),
    );
    const seen = watch<Summary[]>([]);
    await link.subscribe(topics.summary(MACHINE), (_topic, payload) => {
      seen.value.push(parseJson(Summary, payload, "a summary"));
      seen.changed();
    });
    await seen.until((summaries) => summaries.some(condition));
  }
});
