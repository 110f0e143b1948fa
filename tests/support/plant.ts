import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll } from "vitest";
import { prepare } from "../../broker/directory/prepare.ts";
import type { Session } from "../../lib/contracts/directory.ts";
import { createDirectoryClient, type DirectoryClient } from "../../lib/runtime/directory-client.ts";
import { type Folders, foldersOf } from "../../lib/runtime/folders.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { Supervised } from "./supervised.ts";

const SILENT = pino({ level: "silent" });

export const PROCESSES = {
  broker: "broker/main.ts",
  audit: "services/audit/main.ts",
  production: "services/production/main.ts",
  fleet: "services/fleet/main.ts",
  "edge-agent": "edge-agent/main.ts",
} as const;
export type ProcessName = keyof typeof PROCESSES;

/** A whole plant on this machine: real processes on a data folder and ports of their own. */
export type Plant = {
  settings: Settings;
  folders: Folders;
  environment: NodeJS.ProcessEnv;
  processes: Record<ProcessName, Supervised>;
  directory(): DirectoryClient;
  /** A session of the hub's own command line. */
  signInLocal(): Promise<Session>;
  /** Where a process answers now. */
  urlOf(name: ProcessName): string;
  doorKey(): Promise<string>;
  /** Ends every process in order and leaves the data folder as it is. */
  stop(): Promise<void>;
  /** Removes the data folder. */
  remove(): Promise<void>;
};

/**
 * @param folder - a data folder that is there already; a new one unless given.
 * @param more - settings besides those that every test has.
 */
export async function startPlant(
  machine = "ipc-07",
  folder?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Plant> {
  const data = folder ?? (await mkdtemp(join(tmpdir(), "rastro-plant-")));
  const environment = {
    PATH: process.env["PATH"],
    RASTRO_DATA: data,
    RASTRO_MQTT_PORT: String(await freePort()),
    RASTRO_WS_PORT: "0",
    RASTRO_MQTTS_PORT: String(await freePort()),
    RASTRO_HTTP_PORT: String(await freePort()),
    RASTRO_MACHINE: machine,
    RASTRO_STATION_PORT: "0",
    RASTRO_TZ: "America/Sao_Paulo",
    RASTRO_ADMIN_PASSWORD: "a long enough password",
    ...more,
  };
  const settings = readSettings(environment);
  await prepare({ settings, log: SILENT, now: Date.now, random: randomBytes });

  const entries = Object.entries(PROCESSES).map(([name, main]) => [name, new Supervised(name, main, environment)]);
  const processes = Object.fromEntries(entries) as Record<ProcessName, Supervised>;
  await processes.broker.start();
  await Promise.all([processes.audit.start(), processes.production.start(), processes.fleet.start()]);
  await processes["edge-agent"].start();

  const folders = foldersOf(data);
  const urlOf = (name: ProcessName) => {
    const file = readRunFile(data, name);
    if (file === null) throw new Error(`${name} has no run file in ${data}`);
    return file.url;
  };
  const directory = () => createDirectoryClient({ url: urlOf("broker") });
  return {
    settings,
    folders,
    environment,
    processes,
    directory,
    urlOf,
    signInLocal: async () => directory().signInLocal((await readFile(folders.localAdmin, "utf8")).trim(), "test"),
    doorKey: async () => (await readFile(folders.doorKey(machine), "utf8")).trim(),
    async stop() {
      await processes["edge-agent"].stop();
      await Promise.all([processes.fleet.stop(), processes.production.stop(), processes.audit.stop()]);
      await processes.broker.stop();
    },
    remove: () => rm(data, { recursive: true, force: true }),
  };
}

/** A plant for the tests of a file, started before the first of them and gone after the last. */
export function usePlant(): () => Plant {
  let plant: Plant | undefined;
  beforeAll(async () => {
    plant = await startPlant();
  }, 60_000);
  afterAll(async () => {
    await plant?.stop();
    await plant?.remove();
  });
  return () => {
    if (plant === undefined) throw new Error("the plant has not been started");
    return plant;
  };
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}
