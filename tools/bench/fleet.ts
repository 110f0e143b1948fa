import { type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { v7 } from "uuid";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { createKey, exportKey, readPublicKey } from "../../lib/runtime/keys.ts";
import { type BenchPlant, startBenchPlant } from "./bench-plant.ts";
import { startChild, stopChild } from "./child.ts";
import { measureCommands } from "./fleet/command-latency.ts";
import { type ListWatch, watchList } from "./fleet/list-watch.ts";
import type { Cast, Kill } from "./fleet/pool-messages.ts";

/*
 * A fleet of simulated agents in a pool of processes, against a real hub and a real fleet service: how long the list of
 * machines is wrong after each kind of end, and how long a command takes to its acknowledgement.
 */

const POOL = 4;
const FLEET = "services/fleet/main.ts";
const RIGHT_WITHIN_MS = 60_000;
/** Between the ends of single agents. */
const APART_MS = 25;

type Options = { agents: number; commands: number; statusHz: number; json: boolean };
type Agent = { id: string; key: string };
type Figures = { count: number; p50: number; p99: number; max: number };
type Row = { what: string } & Figures;

const options = new Command("bench:fleet")
  .description("Measures how soon the list of machines is right after agents end, and command → acknowledgement.")
  .addOption(new Option("--agents <n>", "how many are simulated").default(200).argParser(Number))
  .addOption(new Option("--commands <n>", "how many are sent, one after the other").default(200).argParser(Number))
  .addOption(new Option("--status-hz <n>", "statuses of each agent").default(5).argParser(Number))
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const plant = await startBenchPlant([FLEET], "bench-host");
  const folder = await mkdtemp(join(tmpdir(), "rastro-bench-fleet-"));
  const pool: ChildProcess[] = [];
  try {
    const { user, session } = plant.session;
    const requester = createRequester({ link: plant.link, user, session, newId: v7, now: Date.now });
    const casts = await castAll(plant, folder);
    const list = watchList(() => requester.call("fleet", "machine-list", {}));
    const rows = await measure({ plant, casts, pool, list, requester });
    await list.stop();
    report(rows, list.wrong());
  } finally {
    for (const child of pool) {
      child.kill("SIGCONT");
      await stopChild(child);
    }
    await plant.close();
    await rm(folder, { recursive: true });
  }
}

/** Registers the agents and deals them out to the processes. */
async function castAll(plant: BenchPlant, folder: string): Promise<Cast[]> {
  const bearer = { name: plant.session.user, token: plant.session.token };
  const commandKey = (await readPublicKey(foldersOf(plant.settings.data).fleetCommandPublicKey)).toString("base64");
  const agents: Agent[] = [];
  for (let index = 0; index < options.agents; index += 1) {
    const key = createKey();
    const id = `bench-${index + 1}`;
    await plant.directory.machineAdd(bearer, { id, publicKey: key.publicRaw.toString("base64") });
    agents.push({ id, key: exportKey(key.privateKey) });
  }
  return Array.from({ length: POOL }, (_, nth) => ({
    url: plant.settings.brokerUrl,
    plant: plant.plantId,
    folder,
    commandKey,
    agents: agents.filter((_agent, index) => index % POOL === nth),
    statusHz: options.statusHz,
  }));
}

async function measure(o: {
  plant: BenchPlant;
  casts: Cast[];
  pool: ChildProcess[];
  list: ListWatch;
  requester: Requester;
}): Promise<Row[]> {
  const { casts, pool, list } = o;
  const idsOf = (nth: number) => (casts[nth]?.agents ?? []).map(({ id }) => id);
  const rows: Row[] = [];
  const time = async (what: string) => rows.push({ what, ...figuresOf(await list.untilRight(RIGHT_WITHIN_MS)) });

  for (const [nth, cast] of casts.entries()) {
    const child = await startChild("tools/bench/fleet/pool-process.ts", { PATH: process.env["PATH"] });
    pool.push(child);
    const playing = once(child, "message");
    child.send(cast);
    await playing;
    list.expect(idsOf(nth), true);
  }
  await list.untilRight(RIGHT_WITHIN_MS);
  // Until the fleet knows that they send a summary each second.
  await pause(4000);

  const commanded = (casts[3]?.agents ?? []).slice(0, 10);
  const commands = await measureCommands({ ...o, agents: commanded, count: options.commands });
  rows.push({ what: "command asked for → acknowledged", ...figuresOf(commands.whole) });
  rows.push({ what: "command published → acknowledged", ...figuresOf(commands.machine) });

  for (const id of idsOf(0)) {
    pool[0]?.send({ kill: id } satisfies Kill);
    list.expect([id], false);
    await pause(APART_MS);
  }
  await time("killed one by one");

  pool[1]?.kill("SIGKILL");
  list.expect(idsOf(1), false);
  await time("killed at once (SIGKILL of their process)");

  pool[2]?.kill("SIGSTOP");
  list.expect(idsOf(2), false);
  await time("silent at once (SIGSTOP, as after a power cut)");

  pool[2]?.kill("SIGCONT");
  list.expect(idsOf(2), true);
  await time("back again (SIGCONT)");

  pool[3]?.kill("SIGTERM");
  list.expect(idsOf(3), false);
  await time("stopped by the system (SIGTERM without a farewell)");
  return rows;
}

function figuresOf(values: number[]): Figures {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

function report(rows: readonly Row[], wrong: readonly string[]): void {
  const head = [`${options.agents} agents, list of machines`, "how many", "p50 ms", "p99 ms", "max ms"];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { what, count, p50, p99, max } of rows) {
    table.push([what, count, p50.toFixed(1), p99.toFixed(1), max.toFixed(1)]);
  }
  process.stdout.write(`${table.toString()}\n`);
  const others = wrong.length === 0 ? "never" : `${wrong.length} times, such as ${wrong[0]}`;
  process.stdout.write(`the list was wrong of machines to which nothing had happened: ${others}\n`);
  process.stdout.write(`load average ${(loadavg()[0] ?? 0).toFixed(2)}\n`);
  if (options.json)
    process.stdout.write(`${JSON.stringify({ bench: "fleet", ...options, rows, wrong: wrong.length })}\n`);
}
