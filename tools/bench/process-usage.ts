import { readFileSync } from "node:fs";

/** Ticks a second in which Linux counts processor time (sysconf(_SC_CLK_TCK), 100 on every usual kernel). */
const TICKS_PER_S = 100;

export type Usage = { cpuSeconds: number; rssMiB: number };

/** What a process used since it started: `/proc/<pid>/stat` and `/proc/<pid>/status`. Linux only. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold blanks; fields are counted behind it: utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const rssKiB = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S, rssMiB: Number(rssKiB) / 1024 };
}

/** What all processors together spent on work since the host started, seconds: `/proc/stat`. Linux only. */
export function hostBusySeconds(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.trim().split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_S;
}
