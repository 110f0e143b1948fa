import type { CpuTimes } from "./cpu.ts";
import type { Disk } from "./disks.ts";
import type { Memory } from "./memory.ts";
import type { Traffic } from "./network.ts";

/**
 * Where a host's figures come from. What is synchronous costs microseconds and may be asked ten times a second; the
 * rest may cost tens of milliseconds elsewhere than on Linux. Null or an empty list: the host does not tell.
 */
export interface HostSources {
  cpuTimes: () => CpuTimes | null;
  memory: () => Memory | null;
  disks: () => Promise<Disk[]>;
  traffic: () => Promise<Traffic[]>;
  /** Tenths of a degree Celsius. */
  temperature: () => Promise<number | null>;
  /** Name and version of the operating system, for people. */
  system: () => Promise<string>;
  /** How often disks, traffic and temperature may be asked, ms. */
  readonly pace: { disks: number; traffic: number; temperature: number };
  close: () => void;
}
