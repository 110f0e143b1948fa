import type { Logger } from "../../lib/runtime/log.ts";
import type { Every } from "../every.ts";
import { createCpuMeter } from "./cpu.ts";
import { type Disk, diskOf } from "./disks.ts";
import { type Memory, shareOf } from "./memory.ts";
import { createTrafficMeter, type TrafficRate } from "./network.ts";
import type { HostSources } from "./host-sources.ts";

/** The newest figures of the host. Shares in tenths of a percent; null where the host did not tell. */
export type HostFigures = {
  cpu: number | null;
  mem: number | null;
  disk: number | null;
  memory: Memory | null;
  disks: Disk[];
  network: TrafficRate[];
  temperature: number | null;
};

export type SamplerOptions = {
  sources: HostSources;
  /** The disk that `disk` speaks of is the one that holds this folder. */
  folder: string;
  every: Every;
  /** Monotonic, ms. */
  clock: () => number;
  log: Logger;
  /** Called after each sample of processor and memory. */
  onSample: (figures: HostFigures) => void;
};

export interface Sampler {
  readonly figures: HostFigures;
  stop(): void;
}

const FAST_MS = 100;
/** A second of samples: see {@link createCpuMeter}. */
const CPU_WINDOW = 10;
const OWN_DISK_MS = 5000;

/**
 * Samples the host, each figure at its own pace. A figure that cannot be had becomes null and is asked again; the
 * first failure of each kind is logged, and none of them stops anything.
 */
export function startSampler({ sources, folder, every, clock, log, onSample }: SamplerOptions): Sampler {
  const figures: HostFigures = {
    cpu: null,
    mem: null,
    disk: null,
    memory: null,
    disks: [],
    network: [],
    temperature: null,
  };
  const cpu = createCpuMeter(sources.cpuTimes, CPU_WINDOW);
  const ratesOf = createTrafficMeter();
  const failed = new Set<string>();
  const note = (what: string, error: unknown) => {
    if (!failed.has(what))
      log.warn({ err: error, what }, "a figure of the host cannot be had; it is reported as unknown");
    failed.add(what);
  };

  const sampleFast = () => {
    figures.cpu = attempt(cpu, (error) => note("cpu", error));
    figures.memory = attempt(sources.memory, (error) => note("memory", error));
    figures.mem = figures.memory === null ? null : shareOf(figures.memory);
    onSample(figures);
  };
  const slow = <T>(what: string, ms: number, ask: () => Promise<T>, unknown: T, take: (value: T) => void) => {
    const run = oneAtATime(async () => {
      try {
        take(await ask());
      } catch (error) {
        take(unknown);
        note(what, error);
      }
    });
    run();
    return every(ms, run);
  };

  sampleFast();
  const stops = [
    every(FAST_MS, sampleFast),
    slow(
      "disk",
      OWN_DISK_MS,
      () => diskOf(folder),
      null,
      (disk) => {
        figures.disk = disk === null ? null : shareOf(disk);
      },
    ),
    slow("disks", sources.pace.disks, sources.disks, [], (disks) => {
      figures.disks = disks;
    }),
    slow("network", sources.pace.traffic, sources.traffic, [], (rows) => {
      figures.network = ratesOf(rows, clock());
    }),
    slow("temperature", sources.pace.temperature, sources.temperature, null, (temperature) => {
      figures.temperature = temperature;
    }),
  ];
  return { figures, stop: () => stops.forEach((stop) => stop()) };
}

function attempt<T>(read: () => T | null, onError: (error: unknown) => void): T | null {
  try {
    return read();
  } catch (error) {
    onError(error);
    return null;
  }
}

/** A disk that hangs is asked once, not again and again. */
function oneAtATime(task: () => Promise<void>): () => void {
  let running = false;
  return () => {
    if (running) return;
    running = true;
    void task().finally(() => {
      running = false;
    });
  };
}
