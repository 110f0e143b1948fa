import { loadavg } from "node:os";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { type Broker, type BrokerKind, BROKERS, MOSQUITTO, MOSQUITTO_PLAIN } from "./broker/brokers.ts";
import { connectRow, qos1Row, signInsRow } from "./broker/connection-rows.ts";
import { type Instrument, openInstrument, ownInstrument } from "./broker/load.ts";
import type { Result } from "./broker/rows.ts";
import { canPin } from "./pinning.ts";
import { fanOutRow, latencyRow, MOST_MACHINES, mostRow, stalledRow, statusRow, tlsRows } from "./broker/status-rows.ts";

/*
 * Our hub beside bare Aedes and Mosquitto, in turn in one run: the broker on one core, what loads it on another.
 */

const STATUS_ROWS = ["status", "most", "fan-out", "latency", "stalled"] as const;
const ROWS = [...STATUS_ROWS, "tls", "qos1", "connect", "sign-ins"] as const;
type RowName = (typeof ROWS)[number];

/** From here on the instrument measures itself. */
const SATURATED_PCT = 95;

type Options = {
  only?: RowName[];
  brokers?: string[];
  seconds: number;
  rounds: number;
  minutes: number;
  clients: number;
  json: boolean;
};

const options = new Command("bench:broker")
  .description("Compares our hub, with and without its status lane, with bare Aedes and Mosquitto.")
  .addOption(new Option("--only <rows...>", "some of the rows").choices(ROWS))
  .addOption(new Option("--brokers <names...>", "some of the brokers").choices(BROKERS.map(({ name }) => name)))
  .addOption(new Option("--seconds <n>", "how long to measure each").default(3).argParser(Number))
  .addOption(new Option("--rounds <n>", "medians are taken over so many rounds").default(3).argParser(Number))
  .addOption(
    new Option("--minutes <n>", "for how long memory is watched beside slow readers").default(1).argParser(Number),
  )
  .addOption(new Option("--clients <n>", "how many connect at once").default(1000).argParser(Number))
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const [hubCore, core] = canPin() ? [0, 1] : [null, null];
  const wanted = (row: RowName) => options.only === undefined || options.only.includes(row);
  const results: Result[] = [];
  const instrument = await openInstrument(core);
  try {
    if (STATUS_ROWS.some(wanted)) results.push(...(await statusRows({ hubCore, instrument, wanted })));
    const given = { hubCore, core, ...options };
    if (wanted("tls")) results.push(...(await tlsStatusRows(hubCore, core)));
    if (wanted("qos1")) results.push(...(await qos1Row({ ...given, inFlight: 100 })));
    if (wanted("connect")) results.push(...(await connectRow(given)));
    if (wanted("sign-ins")) results.push(...(await signInsRow(given)));
    report(results, { instrument, pinned: hubCore !== null });
  } finally {
    await instrument.close();
  }
}

async function statusRows(o: {
  hubCore: number | null;
  instrument: Instrument;
  wanted: (row: RowName) => boolean;
}): Promise<Result[]> {
  const brokers: Broker[] = [];
  try {
    for (const kind of chosenBrokers()) {
      const machines = o.wanted("most") ? MOST_MACHINES : 50;
      const broker = await kind.start({ core: o.hubCore, machines, tokens: 0 });
      if (broker !== null) brokers.push(broker);
    }
    const given = { ...options, brokers, instrument: o.instrument };
    const results: Result[] = [];
    if (o.wanted("status")) results.push(...(await statusRow(given)));
    if (o.wanted("most")) results.push(...(await mostRow(given)));
    if (o.wanted("fan-out")) results.push(...(await fanOutRow(given)));
    if (o.wanted("latency")) results.push(...(await latencyRow(given)));
    if (o.wanted("stalled")) results.push(...(await stalledRow(given)));
    return results;
  } finally {
    for (const broker of brokers.toReversed()) await broker.close();
  }
}

/** Over TLS our own instrument is used: the one in C speaks none. */
async function tlsStatusRows(hubCore: number | null, core: number | null): Promise<Result[]> {
  const brokers: Broker[] = [];
  const instrument = await ownInstrument(core);
  try {
    for (const kind of chosenBrokers()) {
      const broker = await kind.start({ core: hubCore, machines: MOST_MACHINES, tokens: 0, secured: true });
      if (broker !== null) brokers.push(broker);
    }
    return await tlsRows({ ...options, brokers, instrument });
  } finally {
    for (const broker of brokers.toReversed()) await broker.close();
  }
}

function chosenBrokers(): readonly BrokerKind[] {
  return BROKERS.filter(({ name }) => options.brokers === undefined || options.brokers.includes(name));
}

function report(results: readonly Result[], o: { instrument: Instrument; pinned: boolean }): void {
  const head = ["", "broker", "", "figure", "÷ nodelay", "÷ as it comes", "remark", "instrument"];
  const table = new Table({ head, style: { head: [], border: [] } });
  let last = "";
  for (const result of results) {
    const against = (broker: string) => {
      const other = results.find(({ row, broker: name }) => row === result.row && name === broker);
      return other === undefined || other === result ? "" : (result.figure / other.figure).toFixed(2);
    };
    const { instrumentPct } = result;
    const saturated = (instrumentPct ?? 0) >= SATURATED_PCT ? ", saturated" : "";
    table.push([
      result.row === last ? "" : result.row,
      result.broker,
      result.what,
      shown(result.figure),
      against(MOSQUITTO),
      against(MOSQUITTO_PLAIN),
      result.remark,
      instrumentPct === null ? "" : `${instrumentPct.toFixed(0)} %${saturated}`,
    ]);
    last = result.row;
  }
  process.stdout.write(`${table.toString()}\n`);
  const where = o.pinned
    ? "broker on core 0, instrument on core 1"
    : "broker and instrument could not be held to cores";
  const facts = [`instrument ${o.instrument.name}`, where, `load average ${(loadavg()[0] ?? 0).toFixed(2)}`];
  process.stdout.write(`${facts.join("; ")}; medians of ${options.rounds} rounds\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ bench: "broker", ...options, results })}\n`);
}

function shown(figure: number): string {
  return Math.abs(figure) >= 100 ? String(Math.round(figure)) : figure.toFixed(2);
}
