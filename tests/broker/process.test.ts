import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import { prepare } from "../../broker/directory/prepare.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { SILENT } from "../support/silent.ts";

const MAIN = join(import.meta.dirname, "../../broker/main.ts");

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => void server.close(() => resolve()));
  return port;
}

async function preparedFolder() {
  const data = await mkdtemp(join(tmpdir(), "rastro-broker-"));
  onTestFinished(() => rm(data, { recursive: true }));
  const environment = {
    RASTRO_DATA: data,
    RASTRO_MQTT_PORT: String(await freePort()),
    RASTRO_WS_PORT: "0",
    RASTRO_MQTTS_PORT: "0",
    RASTRO_MACHINE: "ipc-07",
    RASTRO_ADMIN_PASSWORD: "a-good-password",
    RASTRO_TZ: "UTC",
  };
  const settings = readSettings(environment);
  await prepare({ settings, log: SILENT, now: Date.now, random: randomBytes });
  return { data, environment, settings };
}

/** Starts the broker's process; `ended` has its exit code and what it wrote to stderr. */
function startBroker(environment: NodeJS.ProcessEnv) {
  const child: ChildProcess = spawn(process.execPath, [MAIN], {
    env: { ...environment, PATH: process.env["PATH"] },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => void (stderr += chunk.toString()));
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, stderr }));
  });
  const ready = new Promise<void>((resolve) => child.once("message", () => resolve()));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, ready, ended };
}

it("the broker's process starts, is ready, keeps sessions over a restart, and stops cleanly", async () => {
  const { data, environment, settings } = await preparedFolder();
  const connect = (username: string, password: string) =>
    mqtt.connectAsync(settings.brokerUrl, { protocolVersion: 4, reconnectPeriod: 0, username, password });

  const first = startBroker(environment);
  await first.ready;
  const url = readRunFile(data, "broker")?.url ?? "";
  const readiness = await fetch(`${url}/readyz`);
  expect(await readiness.json()).toMatchObject({ ready: true, checks: { hub: true, directory: true } });
  const client = createDirectoryClient({ url });
  const session = await client.signIn({ user: "admin", password: "a-good-password", app: "test" });
  await client.signInLocal(await readFile(foldersOf(data).localAdmin, "utf8"), "test");
  await (await connect("admin", "a-good-password")).endAsync();
  first.child.kill("SIGTERM");
  expect(await first.ended).toMatchObject({ code: 0, stderr: "" });

  const second = startBroker(environment);
  await second.ready;
  await (await connect("admin", session.token)).endAsync();
  second.child.kill("SIGTERM");
  expect(await second.ended).toMatchObject({ code: 0 });
});

it("a taken port and a folder in use are one sentence and an exit code that nobody restarts", async () => {
  const { environment } = await preparedFolder();
  const first = startBroker(environment);
  await first.ready;
  const second = startBroker(environment);
  const inUse = await second.ended;
  expect(inUse.code).toBe(78);
  expect(inUse.stderr.trim().split("\n")).toHaveLength(1);

  const other = await preparedFolder();
  const third = startBroker({ ...other.environment, RASTRO_MQTT_PORT: environment.RASTRO_MQTT_PORT });
  const taken = await third.ended;
  expect(taken.code).toBe(78);
  expect(taken.stderr).toContain("RASTRO_MQTT_PORT");
});
