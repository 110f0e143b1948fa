import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { v7 } from "uuid";
import { expect, it, onTestFinished } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { type EventBatch, SignedEvent } from "../../../lib/contracts/events.ts";
import { Presence } from "../../../lib/contracts/machine.ts";
import { parseJson } from "../../../lib/contracts/parse.ts";
import { filters, topics } from "../../../lib/contracts/topics.ts";
import { parseWitnessAnswer, type WitnessAnswer, WitnessOffer } from "../../../lib/contracts/witness.ts";
import { receiveEvents } from "../../../lib/messaging/event-receiver.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { loadOrCreateKey } from "../../../lib/runtime/keys.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { startTestHub } from "../../support/hub.ts";
import { SILENT } from "../../support/silent.ts";
import { freePort } from "../../support/plant.ts";
import { Supervised } from "../../support/supervised.ts";
import { watch } from "../../support/until.ts";
import { history, LOG_VKEY, ORIGIN } from "../../lib/witness/test-log.ts";

const honest = history("a", { size: 20, fork: 3 });
const other = history("b", { size: 20, fork: 3 });

it("a witness of its own joins a plant as a machine: over MQTT and HTTP it is one witness", async () => {
  const hub = await startTestHub();
  onTestFinished(() => hub.close());
  const data = await temporaryFolder();
  const folders = foldersOf(data);
  const key = await loadOrCreateKey(folders.agentKey("tower"));
  const publicKey = key.publicRaw.toString("base64");
  await hub.directory.devices.addMachine(BY_DIRECTORY, { id: "tower", publicKey, speaksFor: [] });
  await writeFile(folders.plant, JSON.stringify({ id: hub.plant, createdAt: new Date().toISOString() }));
  await writeFile(join(data, "logs"), LOG_VKEY);

  const audit = await hub.addService("audit");
  const link = await hub.link("audit", audit.password);
  const heard = watch({
    online: false,
    offers: [] as WitnessOffer[],
    answers: new Map<string, WitnessAnswer | null>(),
    alarms: [] as string[],
  });
  const hear = (filter: string, take: (topic: string, payload: Buffer) => void) =>
    link.subscribe(filter, (topic, payload) => {
      take(topic, payload);
      heard.changed();
    });
  await hear(topics.presence("tower"), (_topic, payload) => {
    heard.value.online = parseJson(Presence, payload, "a presence").online;
  });
  await hear(filters.everyWitnessResponse, (topic, payload) => {
    heard.value.answers.set(topic, parseWitnessAnswer(payload.toString()));
  });
  await hear(filters.everyWitnessAlarm, (_topic, payload) => void heard.value.alarms.push(payload.toString()));
  const receive = async (_from: string, batch: EventBatch) => {
    for (const { event } of batch.events.map((one) => SignedEvent.parse(one))) {
      heard.value.offers.push(WitnessOffer.parse(event.payload));
    }
    heard.changed();
    return { v: 1 as const, epoch: batch.epoch, receipts: [] };
  };
  await receiveEvents({ link, book: "audit", receive, onRefused: () => {}, log: SILENT });

  const port = await freePort();
  const witness = new Supervised("witness", "services/witness/main.ts", {
    PATH: process.env["PATH"],
    RASTRO_DATA: data,
    RASTRO_MACHINE: "tower",
    RASTRO_HOST_ID: "another building",
    RASTRO_BROKER_URL: hub.url,
    RASTRO_WITNESS_LOGS: join(data, "logs"),
    RASTRO_WITNESS_PORT: String(port),
  });
  await witness.start();
  onTestFinished(() => witness.stop());
  expect(witness.output()).toContain(`joins as tower, with the key ${publicKey}`);
  await heard.until(({ online, offers }) => online && offers.length > 0);
  expect(witness.output()).toContain(heard.value.offers[0]?.vkey);

  const ask = async (request: string) => {
    const id = v7();
    const topic = topics.witnessResponse("tower", "audit", id);
    await link.publish(topics.witnessAdd("tower", "audit", id), request, { qos: 1 });
    return (await heard.until(({ answers }) => answers.has(topic))).answers.get(topic);
  };
  expect(await ask(honest.request(0, 7))).toMatchObject({ status: 200 });
  const overHttp = await fetch(`http://127.0.0.1:${port}/add-checkpoint`, {
    method: "POST",
    body: honest.request(0, 9),
  });
  expect([overHttp.status, await overHttp.text()]).toEqual([409, "7\n"]);
  expect(await ask(other.request(7, 7))).toMatchObject({ status: 422 });
  await heard.until(({ alarms }) => alarms.some((text) => text.includes(ORIGIN) && text.includes("forked")));
});
