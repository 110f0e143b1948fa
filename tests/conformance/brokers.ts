import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Aedes } from "aedes";
import * as persistenceModule from "aedes-persistence";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import type { TestContext } from "vitest";
import { openPersistence } from "../../broker/persistence/persistence.ts";
import type { Profile } from "../../lib/contracts/directory.ts";
import type { HubOptions } from "../../broker/hub.ts";
import { startHub } from "../../broker/start-hub.ts";
import { openMemory } from "../../lib/storage/level/database.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { SlowDatabase } from "../suites/faulty-database.ts";
import { fixedAuthenticator, principal } from "../support/principals.ts";
import { SILENT } from "../support/silent.ts";

/** A broker under test. Every row of this folder runs on ours and on Mosquitto, which is the control. */
export type Broker = {
  url: string;
  /** Connects a user, on ours with its password, and closes the connection with the broker. */
  connect(user: string, options?: IClientOptions): Promise<MqttClient>;
  close(): Promise<void>;
};

/** Users of the rows: who is needed, with what right. Mosquitto lets everyone do everything. */
export type Users = Readonly<Record<string, Profile>>;

/** What a row may ask of our hub beyond its users. */
type Ours = Pick<HubOptions, "viewRates">;

/** Starts a broker; null when it is not installed here. */
export type StartBroker = (users: Users, ours?: Ours) => Promise<Broker | null>;

/** Name and start of each broker that must behave. */
export const BROKERS: readonly { name: string; start: StartBroker }[] = [
  { name: "our hub", start: startOurs },
  { name: "our hub, status lane off", start: (users, ours) => startOurs(users, { ...ours, statusLane: false }) },
  { name: "our hub with a slow store", start: startOursOnSlowDisk },
  { name: "Mosquitto (control)", start: startMosquitto },
];

/**
 * Starts a broker for one test, which closes it. Null when it is the control and not installed; that is said on the
 * console and beside the test: a row that passed on our hub alone has shown half of what it should.
 */
export async function startFor(
  test: TestContext,
  start: StartBroker,
  users: Users,
  ours?: Ours,
): Promise<Broker | null> {
  const broker = await start(users, ours);
  if (broker === null) {
    console.warn(CONTROL_NOT_RUN);
    await test.annotate(CONTROL_NOT_RUN, "warning");
    return null;
  }
  test.onTestFinished(() => broker.close());
  return broker;
}

export const CONTROL_NOT_RUN = "control not run: mosquitto is not installed (Debian: apt-get install mosquitto)";

async function startOurs(
  users: Users,
  o: Pick<HubOptions, "persistence" | "statusLane" | "viewRates"> = {},
): Promise<Broker> {
  const principals = Object.entries(users).map(([name, profile]) => principal(name, profile));
  const hub = await startHub({
    host: "127.0.0.1",
    port: 0,
    authenticator: fixedAuthenticator(principals),
    log: SILENT,
    systemTopicsMs: 1000,
    ...o,
  });
  return withClients(
    hub.url,
    (user) => ({ username: user, password: `${user}-pass` }),
    () => hub.close(),
  );
}

async function startOursOnSlowDisk(users: Users, ours: Ours = {}): Promise<Broker> {
  const store = await Store.onDatabase(new SlowDatabase(await openMemory(), WRITE_MS), "memory");
  const persistence = await openPersistence({ store });
  const putWill: typeof persistence.putWill = async (client, will) => {
    await new Promise((resolve) => setTimeout(resolve, WRITE_MS));
    return persistence.putWill(client, will);
  };
  const broker = await startOurs(users, { ...ours, persistence: { ...persistence, putWill } });
  return {
    ...broker,
    async close() {
      await broker.close();
      await persistence.close();
      await store.close();
    },
  };
}

/** Aedes as it comes, to show that a row finds the fault that it is there for. */
export async function startBareAedes(): Promise<Broker> {
  const aedes = await Aedes.createBroker({ persistence: slowPersistence() });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    aedes.handle(socket);
  });
  const port = await new Promise<number>((resolve) => server.listen(0, "127.0.0.1", () => resolve(portOf(server))));
  return withClients(
    `mqtt://127.0.0.1:${port}`,
    () => ({}),
    async () => {
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  );
}

async function startMosquitto(): Promise<Broker | null> {
  const binary = findMosquitto();
  if (binary === null) return null;
  const folder = await mkdtemp(join(tmpdir(), "rastro-mosquitto-"));
  const port = await freePort();
  const configuration = join(folder, "mosquitto.conf");
  await writeFile(configuration, `listener ${port} 127.0.0.1\n${MOSQUITTO_CONFIGURATION.join("\n")}\n`);
  const child = spawn(binary, ["-c", configuration], { stdio: ["ignore", "ignore", "pipe"] });
  await running(child);
  return withClients(
    `mqtt://127.0.0.1:${port}`,
    (user) => ({ username: user }),
    async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
      await rm(folder, { recursive: true });
    },
  );
}

/** As our hub is: packets up to 256 KiB, no waiting for more to send, and figures often enough for a test. */
const MOSQUITTO_CONFIGURATION = [
  "allow_anonymous true",
  "set_tcp_nodelay true",
  "max_packet_size 262144",
  "sys_interval 1",
];

/** Path of the program; null where it is not installed. */
export function findMosquitto(): string | null {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/sbin",
  ];
  return folders.map((folder) => join(folder, "mosquitto")).find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Resolves once Mosquitto says on stderr that it runs. */
export function running(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (/mosquitto version \S+ running/.test(said)) resolve();
    });
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`mosquitto ended: ${said}`)));
  });
}

/** A port of loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const port = portOf(server);
      server.close(() => resolve(port));
    });
  });
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}

function withClients(url: string, credentials: (user: string) => IClientOptions, close: () => Promise<void>): Broker {
  const clients: MqttClient[] = [];
  return {
    url,
    async connect(user, options = {}) {
      const base: IClientOptions = { protocolVersion: 4, reconnectPeriod: 0, ...credentials(user) };
      const client = await mqtt.connectAsync(url, { ...base, ...options });
      client.on("error", () => undefined);
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all(clients.map((client) => client.endAsync(true)));
      await close();
    },
  };
}

/** What a synced write takes on a plain disk. */
const WRITE_MS = 10;

/** The memory persistence with the delay of a store on a disk. */
function slowPersistence(): unknown {
  // The package is CommonJS whose types describe an ES module.
  const memory = (persistenceModule as unknown as { default: () => unknown }).default;
  const persistence = memory() as Record<string, (...given: unknown[]) => Promise<unknown>>;
  for (const method of ["storeRetained", "subscriptionsByTopic", "outgoingEnqueueCombi", "putWill"]) {
    const atOnce = persistence[method]?.bind(persistence);
    persistence[method] = async (...given) => {
      // What is retained is known in memory at once and answered for when it is written.
      const early = method === "storeRetained" ? atOnce?.(...given) : undefined;
      await new Promise((resolve) => setTimeout(resolve, WRITE_MS));
      return early ?? atOnce?.(...given);
    };
  }
  return persistence;
}
