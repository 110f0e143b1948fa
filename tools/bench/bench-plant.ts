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
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { startChild, stopChild } from "./child.ts";

const log = pino({ level: "silent" });

/** A plant in a temporary folder: the hub and what a benchmark needs beside it, each a process of its own. */
export type BenchPlant = {
  environment: NodeJS.ProcessEnv;
  settings: Settings;
  /** Process ids by the path of the `main.ts`. */
  pids: Record<string, number>;
  session: Session;
  /** A connection as the administrator. */
  link: Link;
  close(): Promise<void>;
};

/** @param mains - started after the hub, in order: `services/audit/main.ts`. */
export async function startBenchPlant(mains: readonly string[], machine = "bench-1"): Promise<BenchPlant> {
  const data = await mkdtemp(join(tmpdir(), "rastro-bench-"));
  const password = randomBytes(12).toString("hex");
  const environment = {
    PATH: process.env["PATH"],
    RASTRO_DATA: data,
    RASTRO_MACHINE: machine,
    RASTRO_MQTT_PORT: String(await freePort()),
    RASTRO_WS_PORT: "0",
    RASTRO_LOG_LEVEL: "warn",
  };
  const settings = readSettings({ ...environment, RASTRO_ADMIN_PASSWORD: password });
  await prepare({ settings, log, now: Date.now, random: randomBytes });

  const children: { main: string; child: Awaited<ReturnType<typeof startChild>> }[] = [];
  for (const main of ["broker/main.ts", ...mains]) children.push({ main, child: await startChild(main, environment) });
  const directory = createDirectoryClient({ url: readRunFile(data, "broker")?.url ?? "" });
  const session = await directory.signIn({ user: "admin", password, app: "bench" });
  const link = openLink({
    url: settings.brokerUrl,
    name: session.user,
    password: () => session.token,
    log,
    random: randomBytes,
  });
  await link.whenConnected();
  return {
    environment,
    settings,
    pids: Object.fromEntries(children.map(({ main, child }) => [main, child.pid ?? 0])),
    session,
    link,
    async close() {
      await link.close();
      for (const { child } of children.toReversed()) await stopChild(child);
      await rm(data, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
