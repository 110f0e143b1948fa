import { once } from "node:events";
import { loadavg } from "node:os";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { startChild, stopChild } from "./child.ts";
import { HUB, startBenchPlant } from "./bench-plant.ts";
import { startMosquitto } from "./mosquitto.ts";
import { addReader } from "./reader.ts";
import { usageOf } from "./process-usage.ts";
import type { Offer, Sent } from "./publishers.ts";
import { type Credentials, openWire, pubackFrame, scanPublishes, subscribe } from "./wire.ts";

/*
 * How long a message takes from a publisher's write to its subscriber's read on loopback, through our hub and, where it
 * is installed, through Mosquitto in turn. The publishers are a process of their own; both ends use the same clock.
 * Linux only, since what the broker spends comes from /proc.
 */

/** About the length of a status. */
const PAYLOAD_BYTES = 200;
const MACHINES = 25;
/** After the last write: what is still on its way. */
const DRAIN_MS = 300;
const nameOf = (index: number) => `bench-${index + 1}`;

type Scenario = { name: string; publishers: number; hz: number; qos: 0 | 1; leaf: string };
const SCENARIOS: readonly Scenario[] = [
  { name: "25 × 1 kHz, QoS 0", publishers: MACHINES, hz: 1000, qos: 0, leaf: "status" },
  { name: "1 × 1 kHz, QoS 0", publishers: 1, hz: 1000, qos: 0, leaf: "status" },
  { name: "50 a second, QoS 1", publishers: 1, hz: 50, qos: 1, leaf: "presence" },
];

type Broker = {
  name: string;
  port: number;
  pid: number;
  publisher: (index: number) => Credentials;
  reader: Credentials;
  close(): Promise<void>;
};

type Figures = {
  sent: number;
  skipped: number;
  received: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
  /** Processor time of the broker for each message that was sent. */
  brokerUs: number;
};
type Row = { scenario: string; broker: string; rounds: number } & Figures;

type Options = { seconds: number; rounds: number; json: boolean };

const options = new Command("bench:latency")
  .description(
    "Measures publish → subscriber on loopback through our hub, and through Mosquitto where it is installed.",
  )
  .addOption(new Option("--seconds <n>", "how long to measure each").default(4).argParser(Number))
  .addOption(new Option("--rounds <n>", "medians are taken over so many rounds").default(3).argParser(Number))
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const brokers: Broker[] = [];
  try {
    brokers.push(await startOurs());
    for (const noDelay of [true, false]) {
      const mosquitto = await startTheirs(noDelay);
      if (mosquitto !== null) brokers.push(mosquitto);
    }
    const rows: Row[] = [];
    for (const scenario of SCENARIOS) rows.push(...(await compare(scenario, brokers)));
    report(rows, brokers);
  } finally {
    for (const broker of brokers.toReversed()) await broker.close();
  }
}

async function startOurs(): Promise<Broker> {
  const plant = await startBenchPlant([], "bench-host");
  const { user, token } = plant.session;
  try {
    const secrets: string[] = [];
    for (let index = 0; index < MACHINES; index += 1) {
      const added = await plant.directory.machineAdd({ name: user, token }, { id: nameOf(index) });
      secrets.push(added.secret ?? "");
    }
    return {
      name: "hub",
      port: plant.settings.mqttPort,
      pid: plant.pids[HUB] ?? 0,
      publisher: (index) => ({ user: nameOf(index), password: secrets[index] ?? "" }),
      reader: await addReader(plant),
      close: () => plant.close(),
    };
  } catch (thrown) {
    await plant.close();
    throw thrown;
  }
}

async function startTheirs(noDelay: boolean): Promise<Broker | null> {
  const mosquitto = await startMosquitto({ noDelay });
  return (
    mosquitto && {
      ...mosquitto,
      name: noDelay ? "Mosquitto, set_tcp_nodelay" : "Mosquitto",
      publisher: (index) => ({ user: nameOf(index) }),
      reader: { user: "reader" },
    }
  );
}

/** Round by round each broker in turn, so that what else happens on the machine meets all of them. */
async function compare(scenario: Scenario, brokers: readonly Broker[]): Promise<Row[]> {
  const rounds: Figures[][] = brokers.map(() => []);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [index, broker] of brokers.entries()) rounds[index]?.push(await measure(scenario, broker));
  }
  return brokers.map((broker, index) => ({
    scenario: scenario.name,
    broker: broker.name,
    rounds: options.rounds,
    ...medians(rounds[index] ?? []),
  }));
}

async function measure(scenario: Scenario, broker: Broker): Promise<Figures> {
  const { publishers, hz, qos, leaf } = scenario;
  const reader = await openWire(broker.port, broker.reader);
  const took: number[] = [];
  await subscribe(reader, `machines/+/${leaf}`, qos);
  const onPublish = (payload: Buffer, messageId: number | null) => {
    took.push(Number(process.hrtime.bigint() - payload.readBigUInt64BE(0)) / 1000);
    if (messageId !== null) reader.write(pubackFrame(messageId));
  };
  reader.on("data", scanPublishes(onPublish));
  const before = usageOf(broker.pid).cpuSeconds;
  const { sent, skipped } = await publish({
    port: broker.port,
    publishers: Array.from({ length: publishers }, (_, index) => ({
      ...broker.publisher(index),
      topic: `machines/${nameOf(index)}/${leaf}`,
    })),
    hz,
    qos,
    bytes: PAYLOAD_BYTES,
    seconds: options.seconds,
  });
  await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
  const cpu = usageOf(broker.pid).cpuSeconds - before;
  reader.destroy();
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.max(0, Math.ceil(took.length * share) - 1)] ?? 0;
  return {
    sent,
    skipped,
    received: took.length,
    p50Us: at(0.5),
    p99Us: at(0.99),
    p999Us: at(0.999),
    brokerUs: (cpu * 1e6) / Math.max(1, sent),
  };
}

async function publish(offer: Offer): Promise<Sent> {
  const child = await startChild("tools/bench/publishers.ts", { PATH: process.env["PATH"] });
  try {
    const answer = once(child, "message");
    child.send(offer);
    const ended = once(child, "exit").then(() =>
      Promise.reject(new Error("the publishers ended before they were done")),
    );
    return (await Promise.race([answer, ended]))[0] as Sent;
  } finally {
    await stopChild(child);
  }
}

/** Of each figure by itself. */
function medians(rounds: readonly Figures[]): Figures {
  const median = (figure: keyof Figures) => {
    const sorted = rounds.map((round) => round[figure]).toSorted((a, b) => a - b);
    return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
  };
  return {
    sent: median("sent"),
    skipped: median("skipped"),
    received: median("received"),
    p50Us: median("p50Us"),
    p99Us: median("p99Us"),
    p999Us: median("p999Us"),
    brokerUs: median("brokerUs"),
  };
}

function report(rows: readonly Row[], brokers: readonly Broker[]): void {
  const head = ["", "broker", "sent/s", "skipped/s", "arrived", "p50 µs", "p99 µs", "p99.9 µs", "broker's CPU µs"];
  const table = new Table({ head, style: { head: [], border: [] } });
  let last = "";
  for (const row of rows) {
    table.push([
      row.scenario === last ? "" : row.scenario,
      row.broker,
      Math.round(row.sent / options.seconds),
      Math.round(row.skipped / options.seconds),
      `${((row.received / Math.max(1, row.sent)) * 100).toFixed(1)} %`,
      row.p50Us,
      row.p99Us,
      row.p999Us,
      row.brokerUs,
    ]);
    last = row.scenario;
  }
  process.stdout.write(`${table.toString()}\n`);
  if (brokers.length === 1) process.stdout.write("Mosquitto is not installed: there is nothing to compare with.\n");
  process.stdout.write(`load average ${(loadavg()[0] ?? 0).toFixed(2)}, medians of ${options.rounds} rounds\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ bench: "latency", seconds: options.seconds, rows })}\n`);
}
