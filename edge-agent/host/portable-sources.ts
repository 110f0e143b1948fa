import { release, type } from "node:os";
import type { Systeminformation } from "systeminformation";
import { portableCpuTimes } from "./cpu.ts";
import { portableMemory } from "./memory.ts";
import type { HostSources } from "./host-sources.ts";

/**
 * Node's own figures where they are cheap, systeminformation for the rest: it starts programs and costs some 20 ms a
 * question, hence the slow pace. Loaded only here, so that an agent on Linux does not carry it.
 */
export async function openPortableSources(): Promise<HostSources> {
  const { default: information } = await import("systeminformation");
  return {
    cpuTimes: portableCpuTimes,
    memory: portableMemory,
    disks: async () => (await information.fsSize()).map(diskFrom),
    traffic: async () =>
      (await information.networkStats("*")).map((row) => ({
        name: row.iface,
        rxBytes: row.rx_bytes,
        txBytes: row.tx_bytes,
      })),
    temperature: async () => {
      const { main } = await information.cpuTemperature();
      return typeof main === "number" && main > 0 ? Math.round(main * 10) : null;
    },
    system: async () => {
      const { distro, release: version } = await information.osInfo();
      return distro ? `${distro} ${version}` : `${type()} ${release()}`;
    },
    pace: { disks: 60_000, traffic: 10_000, temperature: 30_000 },
    close: () => undefined,
  };
}

function diskFrom(row: Systeminformation.FsSizeData) {
  return { mount: row.mount, totalBytes: row.size, usedBytes: row.used };
}
