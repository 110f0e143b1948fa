import type { Socket } from "node:net";
import { usageOf } from "../process-usage.ts";
import { openWire, subscribe } from "../wire.ts";
import { type Broker, MOSQUITTO, OURS } from "./brokers.ts";
import type { Instrument, Load, LoadFigures } from "./load.ts";
import { inTurn, medianOf, type Result } from "./rows.ts";

type Options = { brokers: readonly Broker[]; instrument: Instrument; rounds: number; seconds: number };

const DELIVERED = 0.99;
/** From so many machines on, in such steps, up to how many there are names for. */
const FEWEST = 20;
const STEP = 10;
export const MOST_MACHINES = 200;

/** a: statuses for each second of the broker's processor time. */
export function statusRow(o: Options): Promise<Result[]> {
  const load = { machines: 50, readers: 1, seconds: o.seconds };
  return row(o, "50 machines, 1 reader", load, (measured) => ({
    what: "statuses per CPU-second",
    figure: 1e6 / medianOf(measured, ({ cpuUs }) => cpuUs),
    remark: `${medianOf(measured, ({ arrivedPerS }) => arrivedPerS).toFixed(0)} arrived/s, ${medianOf(measured, ({ cpuUs }) => cpuUs).toFixed(1)} µs each`,
  }));
}

/** c: what arrives at ten readers. */
export function fanOutRow(o: Options): Promise<Result[]> {
  const load = { machines: 20, readers: 10, seconds: o.seconds };
  return row(o, "20 machines, 10 readers", load, (measured) => ({
    what: "delivered/s",
    figure: medianOf(measured, ({ arrivedPerS }) => arrivedPerS) * load.readers,
    remark: `${medianOf(measured, ({ cpuUs }) => cpuUs).toFixed(1)} µs of CPU a status`,
  }));
}

/** d: from a machine's write to a reader's read. */
export function latencyRow(o: Options): Promise<Result[]> {
  const load = { machines: 25, readers: 1, seconds: o.seconds };
  return row(o, "25 machines, 1 reader", load, (measured) => ({
    what: "p99 µs",
    figure: medianOf(measured, ({ p99Us }) => p99Us),
    remark: `p50 ${medianOf(measured, ({ p50Us }) => p50Us).toFixed(0)}, p99.9 ${medianOf(measured, ({ p999Us }) => p999Us).toFixed(0)} µs`,
  }));
}

async function row(
  o: Options,
  name: string,
  load: Load,
  tell: (measured: readonly LoadFigures[]) => { what: string; figure: number; remark: string },
): Promise<Result[]> {
  const measured = await inTurn(o.brokers, o.rounds, (broker) => o.instrument.run(broker, load));
  return [...measured].map(([broker, figures]) => ({
    row: name,
    broker: broker.name,
    ...tell(figures),
    instrumentPct: medianOf(figures, ({ instrumentPct }) => instrumentPct),
  }));
}

/**
 * f: statuses for each second of processor time, and what arrives at ten readers, over TLS; at half the machines of the
 * plain rows, which the instrument's own ciphers leave it time for.
 */
export async function tlsRows(o: Options): Promise<Result[]> {
  const given = { seconds: o.seconds, secured: true };
  return [
    ...(await row(o, "TLS: 25 machines, 1 reader", { ...given, machines: 25, readers: 1 }, (measured) => ({
      what: "statuses per CPU-second",
      figure: 1e6 / medianOf(measured, ({ cpuUs }) => cpuUs),
      remark: `${medianOf(measured, ({ arrivedPerS }) => arrivedPerS).toFixed(0)} arrived/s`,
    }))),
    ...(await mostRow({ ...o, secured: true })),
    ...(await row(o, "TLS: 10 machines, 10 readers", { ...given, machines: 10, readers: 10 }, (measured) => ({
      what: "delivered/s",
      figure: medianOf(measured, ({ arrivedPerS }) => arrivedPerS) * 10,
      remark: `${medianOf(measured, ({ cpuUs }) => cpuUs).toFixed(1)} µs of CPU a status`,
    }))),
  ];
}

/** b: how many machines at 1 kHz reach one reader with at least 99 % of what they send. */
export async function mostRow(o: Options & { secured?: boolean }): Promise<Result[]> {
  const from = new Map<Broker, number>();
  const measured = await inTurn(o.brokers, o.rounds, async (broker) => {
    const found = await searchMost(o, broker, from.get(broker) ?? FEWEST);
    from.set(broker, Math.max(FEWEST, found.machines - STEP));
    return found;
  });
  return [...measured].map(([broker, found]) => ({
    row: `${o.secured === true ? "TLS: " : ""}most machines, 1 reader`,
    broker: broker.name,
    what: "machines at 1 kHz",
    figure: medianOf(found, ({ machines }) => machines),
    remark: `${medianOf(found, ({ cpuPct }) => cpuPct).toFixed(0)} % of its core there`,
    instrumentPct: medianOf(found, ({ instrumentPct }) => instrumentPct),
  }));
}

async function searchMost(o: Options & { secured?: boolean }, broker: Broker, from: number) {
  let best = { machines: 0, cpuPct: Number.NaN, instrumentPct: Number.NaN };
  for (let machines = from; machines >= STEP && machines <= MOST_MACHINES;) {
    const figures = await o.instrument.run(broker, {
      machines,
      readers: 1,
      seconds: o.seconds,
      secured: o.secured === true,
    });
    const { instrumentPct, arrivedPerS, offeredPerS, cpuUs } = figures;
    const carries = arrivedPerS >= DELIVERED * offeredPerS;
    // Up while it carries them; where the first was too many already, down until it does.
    if (!carries && best.machines > 0) return { ...best, instrumentPct };
    if (carries) best = { machines, cpuPct: (cpuUs * arrivedPerS) / 1e4, instrumentPct };
    if (carries && machines < from) return best;
    machines += carries ? STEP : -STEP;
  }
  return best;
}

/** Reads so much, so often, of a crawling reader. */
const CRAWL_EVERY_MS = 100;

/** e: a healthy reader beside one that has stalled and one that crawls, against without them; and the broker's memory. */
export async function stalledRow(o: Options & { minutes: number }): Promise<Result[]> {
  const brokers = o.brokers.filter(({ name }) => name === OURS || name === MOSQUITTO);
  const load = { machines: 25, readers: 1, seconds: o.seconds };
  const pairs = await inTurn(brokers, o.rounds, async (broker) => {
    const without = await o.instrument.run(broker, load);
    const slow = await openSlowReaders(broker);
    const beside = await o.instrument.run(broker, load);
    slow.close();
    return { without, beside };
  });
  const results: Result[] = [];
  for (const [broker, measured] of pairs) {
    const grown = await memoryGrowth(o, broker);
    const rate = medianOf(measured, ({ without, beside }) => beside.arrivedPerS / without.arrivedPerS);
    results.push({
      row: "beside a stalled and a crawling reader",
      broker: broker.name,
      what: "p99, times without",
      figure: medianOf(measured, ({ without, beside }) => beside.p99Us / without.p99Us),
      remark: `rate ${(rate * 100).toFixed(1)} %, memory ${grown >= 0 ? "+" : ""}${grown.toFixed(1)} MiB in ${o.minutes} min`,
      instrumentPct: medianOf(measured, ({ beside }) => beside.instrumentPct),
    });
  }
  return results;
}

/** A heap swings between two collections: a minute's lowest figure says what is really kept. */
const WINDOW_S = 60;

/**
 * What the broker keeps in the last minute of a load beyond what it keeps in the first one, MiB. Where the load is
 * shorter than three minutes, the windows are a third of it.
 */
async function memoryGrowth(o: Options & { minutes: number }, broker: Broker): Promise<number> {
  const slow = await openSlowReaders(broker);
  const seconds = Math.max(3, Math.round(o.minutes * 60));
  const resident: number[] = [];
  const timer = setInterval(() => resident.push(usageOf(broker.pid).rssMiB), 1000);
  await o.instrument.run(broker, { machines: 25, readers: 1, seconds });
  clearInterval(timer);
  slow.close();
  const window = Math.min(WINDOW_S, Math.floor(resident.length / 3));
  return Math.min(...resident.slice(-window)) - Math.min(...resident.slice(0, window));
}

async function openSlowReaders(broker: Broker): Promise<{ close(): void }> {
  const open = async (client: string): Promise<Socket> => {
    const socket = await openWire(broker.port, { ...broker.reader, client });
    await subscribe(socket, "machines/+/status", 0);
    socket.on("error", () => undefined);
    socket.pause();
    return socket;
  };
  const stalled = await open("stalled");
  const crawling = await open("crawling");
  crawling.on("data", () => crawling.pause());
  crawling.pause();
  const timer = setInterval(() => crawling.resume(), CRAWL_EVERY_MS);
  return {
    close() {
      clearInterval(timer);
      stalled.destroy();
      crawling.destroy();
    },
  };
}
