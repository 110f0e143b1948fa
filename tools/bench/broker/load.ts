import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onCore, startChild, stopChild } from "../child.ts";
import type { Broker } from "./brokers.ts";

/** Statuses of 250 bytes, retained, at QoS 0, 1,000 a second from each machine. */
export const PAYLOAD_BYTES = 250;
export const HZ = 1000;
const WARM_UP_S = 1;

/** So many machines, and readers of all their statuses. */
export type Load = { machines: number; readers: number; seconds: number; secured?: boolean };

/** What came of it. Microseconds from a machine's write to a reader's read; `cpuUs` is the broker's for each status. */
export type LoadFigures = {
  offeredPerS: number;
  /** Statuses that reached all readers, a second. */
  arrivedPerS: number;
  cpuUs: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
  /** Share of its core that the instrument needed, %: from 95 on it measures itself. */
  instrumentPct: number;
};

/** Puts a load on a broker and measures. */
export type Instrument = {
  name: string;
  run: (broker: Broker, load: Load) => Promise<LoadFigures>;
  close(): Promise<void>;
};

/**
 * The instrument: a load generator in C where `RASTRO_LOADGEN` names its source or its program, else our own, which
 * needs more of its core for a status.
 *
 * @param core - the only one that it runs on.
 */
export async function openInstrument(core: number | null): Promise<Instrument> {
  const given = process.env["RASTRO_LOADGEN"];
  return given === undefined || given === "" ? ownInstrument(core) : compiledInstrument(given, core);
}

async function compiledInstrument(given: string, core: number | null): Promise<Instrument> {
  const folder = await mkdtemp(join(tmpdir(), "rastro-loadgen-"));
  const program = given.endsWith(".c") ? join(folder, "loadgen") : given;
  if (program !== given) execFileSync("gcc", ["-O2", "-w", "-o", program, given]);
  return {
    name: given.split("/").at(-1) ?? given,
    async run(broker, load) {
      const names = join(folder, "names");
      const machines = broker.machines.slice(0, load.machines);
      await writeFile(names, machines.map(({ user, password }) => `${user} ${password ?? "none"}\n`).join(""));
      const { user, password } = broker.reader;
      const options = {
        p: broker.port,
        b: broker.pid,
        n: load.machines,
        s: load.readers,
        d: load.seconds,
        w: WARM_UP_S,
      };
      const given = Object.entries({ ...options, S: PAYLOAD_BYTES, C: names, U: user, W: password ?? "none" });
      const args = given.flatMap(([letter, value]) => [`-${letter}`, String(value)]);
      const line = await lastLineOf(onCore(core, [program, ...args]));
      const said = JSON.parse(line) as Record<string, number>;
      const figure = (name: string) => said[name] ?? Number.NaN;
      return {
        offeredPerS: figure("offered"),
        // Its "achieved" is what was sent by the time until all was quiet: what came is counted apart.
        arrivedPerS: (figure("recv") / load.readers / figure("sent")) * figure("achieved"),
        cpuUs: figure("cpuUs"),
        p50Us: figure("p50us"),
        p99Us: figure("p99us"),
        p999Us: figure("p999us"),
        instrumentPct: figure("genCpuPct"),
      };
    },
    close: () => rm(folder, { recursive: true }),
  };
}

async function lastLineOf(command: [string, ...string[]]): Promise<string> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  const line = said.trim().split("\n").at(-1) ?? "";
  if (code !== 0 || !line.startsWith("{")) throw new Error(`the load generator failed (${String(code)}): ${said}`);
  return line;
}

/** Our own, a process of TypeScript. */
export async function ownInstrument(core: number | null): Promise<Instrument> {
  return {
    name: "tools/bench/broker/load-process.ts",
    async run(broker, load) {
      const child = await startChild("tools/bench/broker/load-process.ts", { PATH: process.env["PATH"] }, [], core);
      try {
        const answer = once(child, "message");
        const ended = once(child, "exit").then(() => Promise.reject(new Error("the load generator ended")));
        const { pid, reader } = broker;
        const at = load.secured === true ? broker.secured : broker.port;
        child.send({
          ...load,
          at,
          pid,
          reader,
          publishers: broker.machines.slice(0, load.machines),
          warmUpS: WARM_UP_S,
        });
        return (await Promise.race([answer, ended]))[0] as LoadFigures;
      } finally {
        await stopChild(child);
      }
    },
    close: async () => undefined,
  };
}
