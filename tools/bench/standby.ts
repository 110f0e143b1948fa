import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Command, Option } from "commander";
import { StandbyState } from "../../lib/contracts/standby.ts";
import { topics } from "../../lib/contracts/topics.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { openLogKeys } from "../../lib/runtime/log-keys.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { type BenchPlant, startBenchPlant } from "./bench-plant.ts";
import { startChild, stopChild } from "./child.ts";
import { appendPrepared } from "./ledger/large-book.ts";
import { usageOf } from "./process-usage.ts";

/*
 * How many records a second a standby that is new takes over from a plant whose book of audit is full already, and
 * what a record costs each process: hub, audit and standby are processes of their own on this machine.
 */

const AUDIT = "services/audit/main.ts";

type Options = { records: number; rounds: number; nodeOption: string[]; json: boolean };
type Sample = { at: number; cpu: Record<string, number>; held: number };
type Round = { perSecond: number; microseconds: Record<string, number> };

const options = new Command("bench:standby")
  .description("Measures how fast a standby that is new catches up with a book, and what a record costs each process.")
  .addOption(new Option("--records <n>", "records of the book").default(100_000).argParser(Number))
  .addOption(new Option("--rounds <n>", "the median is taken over so many rounds").default(3).argParser(Number))
  .option("--node-option <option...>", "for the standby's Node, such as --cpu-prof", [])
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const plant = await startBenchPlant([AUDIT], "bench-1", { before: fillBook });
  try {
    const rounds: Round[] = [];
    for (let round = 0; round < options.rounds; round += 1) rounds.push(await oneRound(plant));
    report(rounds);
  } finally {
    await plant.close();
  }
}

async function fillBook(folders: Folders): Promise<void> {
  const { id } = await readPlant(folders.data);
  const signer = await openLogKeys({ folders, book: "audit", plant: id });
  const store = await Store.openFolder(folders.bookStore("audit"), { ahead: true });
  const { origin } = signer;
  const headNote = folders.headNote("audit");
  const book = await Book.open({ store, name: "audit", origin, headNote, signer });
  await appendPrepared(store, book, options.records);
  await book.close();
  await store.close();
}

async function oneRound(plant: BenchPlant): Promise<Round> {
  const data = await mkdtemp(join(tmpdir(), "rastro-bench-standby-"));
  try {
    const environment = { ...plant.environment, RASTRO_DATA: data, RASTRO_BROKER_URL: plant.settings.brokerUrl };
    await joinPlant(plant, environment);
    return await catchUp(plant, environment);
  } finally {
    await rm(data, { recursive: true });
  }
}

/** As docs/standby.md has it. */
async function joinPlant(plant: BenchPlant, environment: NodeJS.ProcessEnv): Promise<void> {
  const { publicKey } = (await rastro(environment, ["key"])) as { publicKey: string };
  const { line } = (await rastro(plant.environment, ["add", publicKey])) as { line: string };
  await rastro(environment, ["join", line]);
}

async function rastro(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<unknown> {
  const cli = join(import.meta.dirname, "..", "cli.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [cli, "standby", ...args, "--json"], { env });
  return JSON.parse(stdout);
}

async function catchUp(plant: BenchPlant, environment: NodeJS.ProcessEnv): Promise<Round> {
  const begun = Date.now();
  const standby = await startChild("services/standby/main.ts", environment, options.nodeOption);
  const pids = { ...plant.pids, standby: standby.pid ?? 0 };
  try {
    return await between(plant, begun, () => cpuOf(pids));
  } finally {
    await stopChild(standby);
  }
}

/** From what the standby says of itself when it has begun to what it says at the end. */
function between(plant: BenchPlant, begun: number, cpu: () => Record<string, number>): Promise<Round> {
  let first: Sample | null = null;
  return new Promise((resolve, reject) => {
    const take = (_topic: string, payload: Buffer) => {
      const { at, held, behind } = StandbyState.parse(JSON.parse(payload.toString()));
      const sample = { at: Date.parse(at), cpu: cpu(), held };
      // What the one before has said is retained.
      if (sample.at < begun || held === 0) return;
      first ??= sample;
      if (behind.records === 0 && held > first.held) resolve(roundOf(first, sample));
    };
    plant.link.subscribe(topics.standbyBook("audit"), take).catch(reject);
  });
}

function roundOf(first: Sample, last: Sample): Round {
  const records = last.held - first.held;
  const costs = Object.entries(last.cpu).map(([name, seconds]) => {
    return [name, ((seconds - (first.cpu[name] ?? 0)) / records) * 1e6];
  });
  return {
    perSecond: records / ((last.at - first.at) / 1000),
    microseconds: Object.fromEntries(costs) as Record<string, number>,
  };
}

function cpuOf(pids: Record<string, number>): Record<string, number> {
  const entries = Object.entries(pids).map(([name, pid]) => [name, usageOf(pid).cpuSeconds]);
  return Object.fromEntries(entries) as Record<string, number>;
}

function report(rounds: readonly Round[]): void {
  for (const { perSecond, microseconds } of rounds) {
    const costs = Object.entries(microseconds).map(([name, value]) => `${name} ${value.toFixed(1)}`);
    process.stdout.write(`${perSecond.toFixed(0)} records a second; µs of CPU a record: ${costs.join(", ")}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ bench: "standby", rounds })}\n`);
}
