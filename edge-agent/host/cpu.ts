import { cpus } from "node:os";
import type { ProcFile } from "./proc-file.ts";

/** Time that all processors together spent since boot, in any unit that stays the same. */
export type CpuTimes = { idle: number; total: number };

/** The `cpu` line of `/proc/stat` (proc_stat(5)): time waiting for a disk counts as idle, guests are within user time. */
export function parseProcStat(text: string): CpuTimes | null {
  const line = /^cpu +(\d+(?: \d+){3,})/.exec(text)?.[1];
  if (line === undefined) return null;
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
    .split(" ")
    .map(Number);
  return { idle: idle + iowait, total: user + nice + system + idle + iowait + irq + softirq + steal };
}

/** As {@link parseProcStat} where there is no `/proc`. */
export function portableCpuTimes(): CpuTimes | null {
  const times = { idle: 0, total: 0 };
  for (const cpu of cpus()) {
    times.idle += cpu.times.idle;
    times.total += Object.values(cpu.times).reduce((sum, part) => sum + part, 0);
  }
  return times.total > 0 ? times : null;
}

export function procCpuTimes(file: ProcFile): () => CpuTimes | null {
  return () => {
    const text = file.read();
    return text === null ? null : parseProcStat(text);
  };
}

/**
 * Share of time that the processors were busy, in tenths of a percent, over the last `window` samples. Called ten
 * times a second with a window of ten it gives a fresh figure each time and still sees past the 10 ms steps in which
 * the kernel counts. Null until there are two samples.
 */
export function createCpuMeter(read: () => CpuTimes | null, window: number): () => number | null {
  const samples: CpuTimes[] = [];
  return () => {
    const sample = read();
    if (sample === null) return null;
    samples.push(sample);
    if (samples.length > window + 1) samples.shift();
    const oldest = samples[0] ?? sample;
    const total = sample.total - oldest.total;
    if (total <= 0) return null;
    const busy = total - (sample.idle - oldest.idle);
    return Math.min(1000, Math.max(0, Math.round((busy * 1000) / total)));
  };
}
