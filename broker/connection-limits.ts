import type { ConnectionLimits, GivenConnectionLimits } from "../lib/contracts/connection-limits.ts";

/** An idle connection holds about 50 KiB: half a gibibyte of them. */
const MOST = 10_000;
/** Files that the stores, the log and the other ports may need. */
const RESERVED_FILES = 512;
/** Of all connections: what people never get. */
const MACHINES_SHARE = 0.25;

/** The limits as told, with presets where nothing was: as many in total as there can be open files. */
export function connectionLimits(given: GivenConnectionLimits, openFiles: () => number | null): ConnectionLimits {
  const total = given.total ?? totalFor(openFiles());
  const machines = given.machines ?? Math.ceil(total * MACHINES_SHARE);
  return {
    total,
    machines: Math.min(machines, total - 1),
    address: given.address ?? 64,
    loopback: given.loopback ?? 4096,
    principal: given.principal ?? 128,
  };
}

function totalFor(files: number | null): number {
  if (files === null) return MOST;
  return Math.max(2, Math.min(MOST, files - Math.min(RESERVED_FILES, Math.ceil(files / 2))));
}

/** How many files the system lets this process open; null where there is no limit or it cannot be told. */
export function openFilesLimit(): number | null {
  // Node has it since 22.0; its types do not.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  const before = report.excludeNetwork;
  // Else the report looks every address of the machine up.
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } };
  report.excludeNetwork = before;
  const soft = userLimits?.open_files?.soft;
  return typeof soft === "number" ? soft : null;
}
