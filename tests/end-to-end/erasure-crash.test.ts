import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { Session } from "../../lib/contracts/directory.ts";
import { filesWith } from "../support/bytes-in.ts";
import { type Plant, startPlant } from "../support/plant.ts";

/* The hub is killed in the midst of an erasure, and started again: the person is gone. */

const WHY = { ground: "PERIOD_ENDED", text: "the hub dies of it" } as const;
const PASSWORD = "correct horse battery";
/** What appears in the hub's folder as an erasure goes on: the list, and each store as it is written anew. */
const STEPS = [
  "erasures.jsonl",
  "sessions.new",
  "sessions.old",
  "people-keys.new",
  "people-keys.old",
  "directory.new",
  "directory.old",
];

let plant: Plant;
beforeAll(async () => {
  plant = await startPlant();
}, 60_000);
afterAll(async () => {
  await plant?.stop();
  await plant?.remove();
});

const nameOf = (round: number) => `wilhelmina-q${round}`;

async function bearerOf({ user, token }: Session) {
  return { name: user, token };
}

async function killHub(): Promise<void> {
  const { broker } = plant.processes;
  const before = broker.ready;
  broker.kill();
  await vi.waitFor(() => expect(broker.ready).not.toBe(before), 15_000);
  await broker.ready;
}

/** Somebody with a name, a password, a session of MQTT that is kept, and what services were told. */
async function addPerson(round: number): Promise<string> {
  const bearer = await bearerOf(await plant.signInLocal());
  const name = nameOf(round);
  await plant.directory().userAdd(bearer, { name, profile: "operator", password: PASSWORD, fullName: "W Q" });
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${plant.settings.mqttPort}`, {
    protocolVersion: 4,
    username: name,
    password: PASSWORD,
    clean: false,
    clientId: "screen",
    reconnectPeriod: 0,
  });
  await client.subscribeAsync(`responses/${name}/#`, { qos: 1 });
  await client.endAsync();
  return (await plant.directory().personData(bearer, name)).sub;
}

/** Resolves when a file or folder of this name appears, or changes, in the hub's folder. */
async function appears(name: string): Promise<void> {
  const watcher = watch(plant.folders.broker);
  try {
    await new Promise<void>((resolve) => {
      watcher.on("change", (_event, changed) => {
        if (changed === name) resolve();
      });
    });
  } finally {
    watcher.close();
  }
}

it.each(STEPS.map((step, round) => [step, round] as const))(
  "killed when %s appears",
  { timeout: 60_000 },
  async (step, round) => {
    const sub = await addPerson(round);
    const bearer = await bearerOf(await plant.signInLocal());
    const begun = appears(step);
    const asked = plant
      .directory()
      .personErase(bearer, sub, WHY)
      .catch((error: unknown) => error);
    await begun;
    await killHub();
    await asked;

    const again = await bearerOf(await plant.signInLocal());
    // The file appears before its line: what is not in the list has not begun, and the person is as before.
    const listed = (await readFile(plant.folders.erasures, "utf8")).includes(sub);
    if (!listed) await plant.directory().personErase(again, nameOf(round), WHY);
    expect(await filesWith(plant.settings.data, nameOf(round))).toEqual([]);
    expect(await plant.directory().personData(again, sub)).toMatchObject({ name: null, fullName: null });
    await expect(plant.directory().personErase(again, sub, WHY)).rejects.toMatchObject({ code: "already_erased" });
    const lines = (await readFile(plant.folders.erasures, "utf8")).trim().split("\n");
    const erasures = lines.map((line) => JSON.parse(line) as { id?: string; sub?: string; done?: string });
    const erasure = erasures.find((one) => one.sub === sub);
    expect(erasures.some(({ done }) => done === erasure?.id)).toBe(true);
  },
);
