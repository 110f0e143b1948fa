import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { Level } from "level";
import { v7 as newId } from "uuid";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import { startBenchPlant } from "./bench-plant.ts";
import { usageOf } from "./process-usage.ts";

/*
 * How long an entry takes from the request to its receipt, and how many become durable a second, with so many in
 * flight; beside the floor that no book can go below: the same bytes hashed and put into LevelDB in synced batches.
 */

const SIZES = [1, 10, 100, 1000] as const;
/** About the bytes that one entry leaves in the production store: record, nodes, views, event for audit. */
const RECORD_BYTES = 900;

type Options = { seconds: number; rounds: number; json: boolean };
type Figures = { inFlight: number; perSecond: number; p50Ms: number; p99Ms: number };
/** `auditLagMs`: from the last receipt until the audit book has all that production booked. */
type Row = { inFlight: number; entries: Figures; floor: Figures; ratio: number; auditLagMs: number };

const options = new Command("bench:entry")
  .description("Measures entry → receipt at 1, 10, 100 and 1000 in flight, beside synced LevelDB batches with SHA-256.")
  .addOption(new Option("--seconds <n>", "how long to measure each").default(5).argParser(Number))
  .addOption(new Option("--rounds <n>", "medians are taken over so many rounds").default(3).argParser(Number))
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const plant = await startBenchPlant(["services/audit/main.ts", "services/production/main.ts"]);
  try {
    const ask = createRequester({
      link: plant.link,
      user: plant.session.user,
      session: plant.session.session,
      newId,
      now: Date.now,
    });
    const enter = async (n: number) => {
      const fields = { machine: "bench-1", lot: `L-${n % 10}`, good: n % 100 };
      await ask.call("production", "entry-add", { id: newId(), at: new Date().toISOString(), tz: "UTC", fields });
    };
    const untilAuditHasAll = await watchAudit(ask);
    await measure(10, 2, enter);
    const before = cpuOf(plant.pids);
    const rows: Row[] = [];
    for (const inFlight of SIZES) rows.push(await oneRow(inFlight, enter, untilAuditHasAll));
    report(rows, shares(before, cpuOf(plant.pids)));
  } finally {
    await plant.close();
  }
}

async function oneRow(
  inFlight: number,
  enter: (n: number) => Promise<void>,
  untilAuditHasAll: () => Promise<number>,
): Promise<Row> {
  const entries: Figures[] = [];
  const floors: Figures[] = [];
  let auditLagMs = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    floors.push(await measureFloor(inFlight));
    entries.push(await measure(inFlight, options.seconds, enter));
    auditLagMs = Math.max(auditLagMs, await untilAuditHasAll());
  }
  const entry = medianBySpeed(entries);
  const floor = medianBySpeed(floors);
  return { inFlight, entries: entry, floor, ratio: entry.perSecond / floor.perSecond, auditLagMs };
}

/** How long it takes until the audit book has what it had before and all that production has booked since, ms. */
async function watchAudit(ask: Requester): Promise<() => Promise<number>> {
  const sizeOf = async (book: "production" | "audit") => (await ask.call(book, "book-head", {})).size;
  const others = (await sizeOf("audit")) - (await sizeOf("production"));
  return async () => {
    const begun = performance.now();
    const size = await sizeOf("production");
    while ((await sizeOf("audit")) - others < size) await pause(20);
    return performance.now() - begun;
  };
}

/** Keeps `inFlight` calls open for so many seconds. */
async function measure(inFlight: number, seconds: number, act: (n: number) => Promise<void>): Promise<Figures> {
  const took: number[] = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let next = 0;
  const caller = async () => {
    while (performance.now() < end) {
      const started = performance.now();
      next += 1;
      await act(next);
      took.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const span = (performance.now() - begun) / 1000;
  took.sort((a, b) => a - b);
  return { inFlight, perSecond: took.length / span, p50Ms: at(took, 0.5), p99Ms: at(took, 0.99) };
}

/** The same callers against nothing but hashing and synced batches of whatever waits. */
async function measureFloor(inFlight: number): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), "rastro-floor-"));
  const db = new Level<Buffer, Buffer>(folder, { keyEncoding: "buffer", valueEncoding: "buffer" });
  await db.open();
  let waiting: { value: Buffer; done: () => void }[] = [];
  let writing = false;
  let key = 0;
  const write = async () => {
    writing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      const operations = group.map(({ value }) => {
        key += 1;
        const name = Buffer.alloc(8);
        name.writeBigUInt64BE(BigInt(key));
        return { type: "put" as const, key: name, value };
      });
      await db.batch(operations, { sync: true });
      for (const { done } of group) done();
    }
    writing = false;
  };
  const append = async () => {
    const value = Buffer.alloc(RECORD_BYTES, key % 251);
    createHash("sha256").update(value).digest();
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push({ value, done: resolve });
    if (!writing) void write();
    await promise;
  };
  try {
    return await measure(inFlight, Math.min(options.seconds, 3), append);
  } finally {
    await db.close();
    await rm(folder, { recursive: true });
  }
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function medianBySpeed(figures: Figures[]): Figures {
  const sorted = figures.toSorted((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}

type Cpu = { at: number; seconds: Record<string, number> };

function cpuOf(pids: Record<string, number>): Cpu {
  const entries = Object.entries(pids).map(([name, pid]) => [name, usageOf(pid).cpuSeconds]);
  return { at: performance.now(), seconds: Object.fromEntries(entries) as Record<string, number> };
}

function shares(before: Cpu, after: Cpu): Record<string, number> {
  const span = (after.at - before.at) / 1000;
  const entries = Object.keys(after.seconds).map((name) => {
    return [name, (((after.seconds[name] ?? 0) - (before.seconds[name] ?? 0)) / span) * 100];
  });
  return Object.fromEntries(entries) as Record<string, number>;
}

function report(rows: readonly Row[], cores: Record<string, number>): void {
  const head = [
    "in flight",
    "entries/s",
    "p50 ms",
    "p99 ms",
    "floor/s",
    "floor p50 ms",
    "floor p99 ms",
    "ratio",
    "audit lag ms",
  ];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { inFlight, entries, floor, ratio, auditLagMs } of rows) {
    table.push([
      inFlight,
      entries.perSecond.toFixed(0),
      entries.p50Ms.toFixed(2),
      entries.p99Ms.toFixed(2),
      floor.perSecond.toFixed(0),
      floor.p50Ms.toFixed(2),
      floor.p99Ms.toFixed(2),
      ratio.toFixed(3),
      auditLagMs.toFixed(0),
    ]);
  }
  process.stdout.write(`${table.toString()}\n`);
  for (const [name, share] of Object.entries(cores)) process.stdout.write(`${name}: ${share.toFixed(0)} % of a core\n`);
  process.stdout.write(`load average ${(loadavg()[0] ?? 0).toFixed(2)}, medians of ${options.rounds} rounds\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ bench: "entry", rows, cores })}\n`);
}
