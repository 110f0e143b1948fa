import { readFile } from "node:fs/promises";
import { release, type } from "node:os";
import { procCpuTimes } from "./cpu.ts";
import { procDisks } from "./disks.ts";
import { procMemory } from "./memory.ts";
import { procTraffic } from "./network.ts";
import { openProcFile } from "./proc-file.ts";
import type { HostSources } from "./host-sources.ts";
import { sysTemperature } from "./temperature.ts";

/** Everything from `/proc`, `/sys` and `statfs`: no child process, no package to load. */
export function openProcSources(): HostSources {
  const stat = openProcFile("/proc/stat", 256);
  const meminfo = openProcFile("/proc/meminfo", 512);
  const netDev = openProcFile("/proc/net/dev", 16_384);
  return {
    cpuTimes: procCpuTimes(stat),
    memory: procMemory(meminfo),
    disks: procDisks,
    traffic: procTraffic(netDev),
    temperature: () => sysTemperature(),
    system: linuxName,
    pace: { disks: 5000, traffic: 1000, temperature: 5000 },
    close: () => [stat, meminfo, netDev].forEach((file) => file.close()),
  };
}

/** `PRETTY_NAME` of os-release(5), else what the kernel calls itself. */
async function linuxName(): Promise<string> {
  const text = await readFile("/etc/os-release", "utf8").catch(() => "");
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(text)?.[1] ?? `${type()} ${release()}`;
}
