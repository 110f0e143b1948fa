import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { type KeyPair, loadOrCreateKey, writePublicKey } from "../../../lib/runtime/keys.ts";
import { replaceFile } from "../../../lib/runtime/new-file.ts";
import { readRunFile, writeRunFile } from "../../../lib/runtime/run-files.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { startTestHub, type TestHub } from "../../support/hub.ts";
import { Supervised } from "../../support/supervised.ts";

export const MACHINE = "ipc-07";

/**
 * A real agent as a process of its own, registered at a real hub that can be taken away and brought back.
 *
 * @param o.pinned - the fleet's command key that the agent was given when it joined.
 * @param o.logs - the keys of the logs that it was given, a vkey a line.
 */
export async function startPlantWithAgent(o: { pinned?: KeyPair; logs?: string } = {}) {
  const data = await mkdtemp(join(tmpdir(), "rastro-agent-"));
  const folders = foldersOf(data);
  const key = await loadOrCreateKey(folders.agentKey(MACHINE));
  const publicKey = key.publicRaw.toString("base64");
  if (o.pinned !== undefined) await writePublicKey(folders.agentPinnedFleetKey(MACHINE), o.pinned.publicRaw);
  if (o.logs !== undefined) await replaceFile(folders.agentWitnessedLogs(MACHINE), o.logs);

  let hub = await openHub(data, 0);
  const { port } = hub.hub;
  await hub.directory.devices.addMachine(BY_DIRECTORY, { id: MACHINE, publicKey, speaksFor: [] });
  const plant = { id: hub.plant, createdAt: new Date().toISOString() };
  await writeFile(folders.plant, JSON.stringify(plant));

  const agent = new Supervised("edge-agent", "edge-agent/main.ts", {
    PATH: process.env["PATH"],
    RASTRO_DATA: data,
    RASTRO_MACHINE: MACHINE,
    RASTRO_STATION_PORT: "0",
    RASTRO_BROKER_URL: hub.url,
    RASTRO_TZ: "America/Sao_Paulo",
  });
  await agent.start();

  const ask = async (method: string, path: string, body?: unknown) => {
    const url = readRunFile(data, "edge-agent")?.url ?? "no agent";
    const authorization = `Bearer ${(await readFile(folders.doorKey(MACHINE), "utf8")).trim()}`;
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  return {
    agent,
    key,
    ask,
    folders,
    hub: (): TestHub => hub,
    takeHubAway: () => hub.close(),
    bringHubBack: async () => (hub = await openHub(data, port)),
    close: async () => {
      await agent.stop();
      await hub.close();
      await rm(data, { recursive: true });
    },
  };
}

async function openHub(data: string, port: number): Promise<TestHub> {
  const stores = {
    store: await Store.openFolder(join(data, "hub", "directory")),
    keyStore: await Store.openFolder(join(data, "hub", "keys")),
  };
  const hub = await startTestHub({ port, stores });
  const file = { name: "broker", pid: process.pid, url: hub.directoryUrl, startedAt: new Date().toISOString() };
  await writeRunFile(data, file);
  return hub;
}
