import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { Status, Summary } from "../../lib/contracts/machine.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { filters, parseMachine } from "../../lib/contracts/topics.ts";
import { openPlant } from "../../lib/runtime/plant.ts";
import { benchEnvironment, HUB, startBenchPlant } from "./bench-plant.ts";
import { startChild, stopChild } from "./child.ts";
import { createGaps, type GapFigures } from "./gaps.ts";
import { hostBusySeconds, usageOf } from "./process-usage.ts";
import { type OnMessage, startSink } from "./sink.ts";

/*
 * What the agent achieves and costs: its statuses are counted and timed where they arrive, at a bare sink or at a
 * subscriber of a real hub. Linux only, since the share of a core comes from /proc.
 */

const MACHINE = "bench-1";
const WARM_UP_MS = 3000;

type Options = { seconds: number; against: "hub" | "sink"; json: boolean; profile?: string };
type Far = { environment: NodeJS.ProcessEnv; hubPid: number | null; close(): Promise<void> };

const program = new Command("bench:agent")
  .description("Measures the status rate of one agent, its spacing, and what it costs.")
  .addOption(new Option("--seconds <n>", "how long to measure").default(60).argParser(Number))
  .addOption(new Option("--against <far>", "where the statuses go").choices(["hub", "sink"]).default("hub"))
  .option("--profile <folder>", "also write a processor profile of the agent into the folder")
  .option("--json", "the figures as one last line of JSON", false)
  .parse();

await run(program.opts<Options>());

async function run(options: Options): Promise<void> {
  const arrivals = createArrivals();
  const far = options.against === "hub" ? await startHub(arrivals.take) : await startBareSink(arrivals.take);
  try {
    const profiling = options.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${options.profile}`];
    const agent = await startChild("edge-agent/main.ts", far.environment, profiling);
    try {
      await arrivals.first;
      await pause(WARM_UP_MS);
      report(options, await measure(options.seconds, agent.pid ?? 0, far.hubPid, arrivals));
    } finally {
      await stopChild(agent);
    }
  } finally {
    await far.close();
  }
}

type Figures = {
  seconds: number;
  arrival: GapFigures;
  sending: { hz: number; p50Us: number; worstP99Us: number; maxUs: number; skipped: number };
  agentCpuPercent: number;
  agentRssMiB: number;
  hubCpuPercent: number | null;
  /** What everything else on the host used meanwhile, percent of one core: how calm it was. */
  othersCpuPercent: number;
  loadAverage: number;
};

async function measure(seconds: number, agent: number, hub: number | null, arrivals: Arrivals): Promise<Figures> {
  const before = takeStock(agent, hub);
  const { gaps, summaries } = arrivals.begin();
  await pause(seconds * 1000);
  arrivals.end();
  const after = takeStock(agent, hub);
  const span = after.at - before.at;
  const share = (of: "agent" | "hub" | "self" | "host") => ((after[of] - before[of]) / span) * 100;
  return {
    seconds: span,
    arrival: gaps.figures(),
    sending: sendingFigures(summaries),
    agentCpuPercent: share("agent"),
    agentRssMiB: usageOf(agent).rssMiB,
    hubCpuPercent: hub === null ? null : share("hub"),
    othersCpuPercent: Math.max(0, share("host") - share("agent") - share("hub") - share("self")),
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** Seconds of processor time so far, and of the clock. */
function takeStock(agent: number, hub: number | null) {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now() / 1000,
    agent: usageOf(agent).cpuSeconds,
    hub: hub === null ? 0 : usageOf(hub).cpuSeconds,
    self: (user + system) / 1e6,
    host: hostBusySeconds(),
  };
}

function sendingFigures(summaries: readonly Summary[]): Figures["sending"] {
  const statuses = summaries.map(({ status }) => status);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  return {
    hz: mean(statuses.map(({ rateMilliHz }) => rateMilliHz)) / 1000,
    p50Us: Math.round(mean(statuses.map(({ gapUs }) => gapUs.p50))),
    worstP99Us: Math.max(0, ...statuses.map(({ gapUs }) => gapUs.p99)),
    maxUs: Math.max(0, ...statuses.map(({ gapUs }) => gapUs.max)),
    skipped: (statuses.at(-1)?.skipped ?? 0) - (statuses[0]?.skipped ?? 0),
  };
}

type Arrivals = ReturnType<typeof createArrivals>;

/** Times statuses as they arrive and keeps the agent's own summaries. Every status is parsed: a wrong one is no status. */
function createArrivals() {
  const { promise: first, resolve: seenFirst } = Promise.withResolvers<void>();
  let now: { gaps: ReturnType<typeof createGaps>; summaries: Summary[] } | null = null;
  const take: OnMessage = (topic, payload) => {
    const at = performance.now();
    const leaf = parseMachine(topic)?.leaf;
    if (leaf === "status") {
      parseJson(Status, payload, "a status");
      seenFirst();
      now?.gaps.note(at);
    } else if (leaf === "summary") {
      now?.summaries.push(parseJson(Summary, payload, "a summary"));
    }
  };
  return { take, first, begin: () => (now = { gaps: createGaps(), summaries: [] }), end: () => void (now = null) };
}

async function startBareSink(onMessage: OnMessage): Promise<Far> {
  const data = await mkdtemp(join(tmpdir(), "rastro-bench-"));
  await openPlant({ data, now: Date.now, random: randomBytes });
  const sink = await startSink(onMessage);
  return {
    environment: { ...benchEnvironment(data, MACHINE), RASTRO_BROKER_URL: sink.url },
    hubPid: null,
    async close() {
      await sink.close();
      await rm(data, { recursive: true });
    },
  };
}

/** A real hub with a subscriber as an administrator has it. */
async function startHub(onMessage: OnMessage): Promise<Far> {
  const plant = await startBenchPlant([], MACHINE);
  await plant.link.subscribe([filters.everyStatus, filters.everySummary], onMessage);
  return { environment: plant.environment, hubPid: plant.pids[HUB] ?? null, close: () => plant.close() };
}

function report({ against, json }: Options, figures: Figures): void {
  const { arrival, sending } = figures;
  const table = new Table({
    head: ["", "Hz", "p50 µs", "p99 µs", "p99.9 µs", "max µs"],
    style: { head: [], border: [] },
  });
  table.push(
    ["sent", sending.hz.toFixed(2), sending.p50Us, `${sending.worstP99Us} (worst second)`, "", sending.maxUs],
    [`arrived at the ${against}`, arrival.hz.toFixed(2), arrival.p50Us, arrival.p99Us, arrival.p999Us, arrival.maxUs],
  );
  const costs = new Table({ style: { head: [], border: [] } });
  costs.push(
    { "measured for": `${figures.seconds.toFixed(1)} s, ${arrival.count} statuses, ${sending.skipped} skipped` },
    { "agent's share of a core": `${figures.agentCpuPercent.toFixed(2)} %` },
    { "agent's memory": `${figures.agentRssMiB.toFixed(0)} MiB` },
    { "hub's share of a core": figures.hubCpuPercent === null ? "-" : `${figures.hubCpuPercent.toFixed(2)} %` },
    {
      "everything else": `${figures.othersCpuPercent.toFixed(1)} % of one core, load average ${figures.loadAverage.toFixed(2)}`,
    },
  );
  process.stdout.write(`${table.toString()}\n${costs.toString()}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ bench: "agent", against, ...figures })}\n`);
}
