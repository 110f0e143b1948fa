import type { ChildProcess } from "node:child_process";
import { createKey, type KeyPair } from "../../../lib/runtime/keys.ts";
import { createTokens } from "../../../lib/runtime/token.ts";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { readPlant } from "../../../lib/runtime/plant.ts";
import { type BenchPlant, freePort, HUB, startBenchPlant } from "../bench-plant.ts";
import { startChild, stopChild } from "../child.ts";
import { startMosquitto } from "../mosquitto.ts";
import { addReader } from "../reader.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import type { Credentials, Secured } from "../wire.ts";

/** One of the brokers that are compared, with the names that a load needs. */
export type Broker = {
  name: string;
  port: number;
  /** MQTT over TLS, where it was asked for and there is one. */
  secured: Secured | null;
  pid: number;
  /** Credentials of the machines; on ours registered ones with secrets. */
  machines: readonly Credentials[];
  reader: Credentials;
  /** Credentials that cost what a machine's sign-in costs: on ours tokens, signed by each machine's own key. */
  tokens: () => readonly Credentials[];
  plant: BenchPlant | null;
  close(): Promise<void>;
};

/** How a broker is started: on which core, and for how many machines. */
export type Start = { core: number | null; machines: number; tokens: number; persistent?: boolean; secured?: boolean };

export type BrokerKind = { name: string; start: (o: Start) => Promise<Broker | null> };

export const MOSQUITTO = "Mosquitto, nodelay";
export const MOSQUITTO_PLAIN = "Mosquitto, as it comes";
export const OURS = "hub";

/** All that are compared; null starts: not installed. */
export const BROKERS: readonly BrokerKind[] = [
  { name: OURS, start: (o) => startOurs(OURS, o, {}) },
  { name: "hub, lane off", start: (o) => startOurs("hub, lane off", o, { RASTRO_STATUS_LANE: "off" }) },
  { name: "Aedes 1.2.0, bare", start: startBare },
  { name: MOSQUITTO, start: (o) => startTheirs(MOSQUITTO, true, o) },
  { name: MOSQUITTO_PLAIN, start: (o) => startTheirs(MOSQUITTO_PLAIN, false, o) },
];

const nameOf = (index: number) => `bench-${index + 1}`;
const keyedNameOf = (index: number) => `bench-key-${index + 1}`;

async function startOurs(name: string, o: Start, environment: NodeJS.ProcessEnv): Promise<Broker> {
  const tlsPort = await freePort();
  const hubEnvironment = {
    ...environment,
    RASTRO_MQTTS_PORT: String(tlsPort),
    RASTRO_QUEUE_MAX_MESSAGES: "10000000",
    RASTRO_QUEUE_MAX_MB: "4096",
  };
  const plant = await startBenchPlant([], "bench-host", { hubCore: o.core, hubEnvironment });
  try {
    const bearer = { name: plant.session.user, token: plant.session.token };
    const machines: Credentials[] = [];
    for (let index = 0; index < o.machines; index += 1) {
      const { secret } = await plant.directory.machineAdd(bearer, { id: nameOf(index) });
      machines.push({ user: nameOf(index), password: secret ?? "" });
    }
    const keys: KeyPair[] = [];
    for (let index = 0; index < o.tokens; index += 1) {
      const key = createKey();
      await plant.directory.machineAdd(bearer, { id: keyedNameOf(index), publicKey: key.publicRaw.toString("base64") });
      keys.push(key);
    }
    const { id } = await readPlant(plant.settings.data);
    const tokenOf = ({ privateKey }: KeyPair, index: number): Credentials => {
      const user = keyedNameOf(index);
      return {
        user,
        password: createTokens({ name: user, plant: id, privateKey, now: Date.now, random: randomBytes })(),
      };
    };
    return {
      name,
      port: plant.settings.mqttPort,
      secured: { port: tlsPort, ca: await readFile(foldersOf(plant.settings.data).authorityCertificate, "utf8") },
      pid: plant.pids[HUB] ?? 0,
      machines,
      reader: await addReader(plant),
      tokens: () => keys.map(tokenOf),
      plant,
      close: () => plant.close(),
    };
  } catch (thrown) {
    await plant.close();
    throw thrown;
  }
}

/** Whoever has no names of its own lets everybody in. */
function anonymous(o: Start): Pick<Broker, "machines" | "reader" | "tokens" | "plant"> {
  const names = (count: number, name: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => ({ user: name(index) }));
  return {
    machines: names(o.machines, nameOf),
    reader: { user: "bench-scada" },
    tokens: () => names(o.tokens, keyedNameOf),
    plant: null,
  };
}

async function startBare(o: Start): Promise<Broker | null> {
  if (o.persistent === true || o.secured === true) return null;
  const port = await freePort();
  const child: ChildProcess = await startChild(
    "tools/bench/broker/bare-aedes.ts",
    { PATH: process.env["PATH"], BENCH_PORT: String(port) },
    [],
    o.core,
  );
  const close = () => stopChild(child);
  return { name: "Aedes 1.2.0, bare", port, secured: null, pid: child.pid ?? 0, ...anonymous(o), close };
}

async function startTheirs(name: string, noDelay: boolean, o: Start): Promise<Broker | null> {
  const mosquitto = await startMosquitto({
    noDelay,
    core: o.core,
    persistent: o.persistent === true,
    secured: o.secured === true,
  });
  return mosquitto && { ...mosquitto, name, ...anonymous(o) };
}
