import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { prepare } from "../../broker/directory/prepare.ts";
import type { Session } from "../../lib/contracts/directory.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createDirectoryClient, type DirectoryClient } from "../../lib/runtime/directory-client.ts";
import { type Folders, foldersOf } from "../../lib/runtime/folders.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { HUB_NODE_OPTIONS } from "../stack/plan.ts";
import { startChild, stopChild } from "./child.ts";

const log = pino({ level: "silent" });

/** A plant in a temporary folder: the hub and what a benchmark needs beside it, each a process of its own. */
export type BenchPlant = {
  environment: NodeJS.ProcessEnv;
  settings: Settings;
  plantId: string;
  /** Process ids by the path of the `main.ts`. */
  pids: Record<string, number>;
  directory: DirectoryClient;
  session: Session;
  /** A connection as the administrator. */
  link: Link;
  close(): Promise<void>;
};

/** The hub among {@link BenchPlant.pids}. */
export const HUB = "broker/main.ts";

/** What every process of a benchmark is told: its data folder, and nothing of the developer's own settings. */
export function benchEnvironment(data: string, machine: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    RASTRO_DATA: data,
    RASTRO_MACHINE: machine,
    RASTRO_WS_PORT: "0",
    RASTRO_MQTTS_PORT: "0",
    RASTRO_STATION_PORT: "0",
    RASTRO_LOG_LEVEL: "warn",
  };
}

/**
 * @param mains - started after the hub, in order: `services/audit/main.ts`.
 * @param o.hubCore - the only core that the hub runs on. @param o.hubEnvironment - what the hub alone is told besides.
 * @param o.before - puts into the data folder what is to be there when the processes start.
 */
export async function startBenchPlant(
  mains: readonly string[],
  machine = "bench-1",
  o: {
    hubCore?: number | null;
    hubEnvironment?: NodeJS.ProcessEnv;
    before?: (folders: Folders) => Promise<void>;
  } = {},
): Promise<BenchPlant> {
  const data = await mkdtemp(join(tmpdir(), "rastro-bench-"));
  const password = randomBytes(12).toString("hex");
  const environment = { ...benchEnvironment(data, machine), RASTRO_MQTT_PORT: String(await freePort()) };
  const settings = readSettings({ ...environment, RASTRO_ADMIN_PASSWORD: password });
  const undo: (() => Promise<unknown>)[] = [() => rm(data, { recursive: true })];
  const close = async () => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    await prepare({ settings, log, now: Date.now, random: randomBytes });
    await o.before?.(foldersOf(data));
    const pids: Record<string, number> = {};
    for (const main of [HUB, ...mains]) {
      const child =
        main === HUB
          ? await startChild(main, { ...environment, ...o.hubEnvironment }, HUB_NODE_OPTIONS, o.hubCore ?? null)
          : await startChild(main, environment);
      undo.push(() => stopChild(child));
      pids[main] = child.pid ?? 0;
    }
    const directory = createDirectoryClient({ url: readRunFile(data, "broker")?.url ?? "" });
    const session = await directory.signIn({ user: "admin", password, app: "bench" });
    const { user: name, token } = session;
    const link = openLink({ url: settings.brokerUrl, name, password: () => token, log, random: randomBytes });
    undo.push(() => link.close());
    await link.whenConnected();
    const plantId = (await readPlant(data)).id;
    return { environment, settings, plantId, pids, directory, session, link, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
