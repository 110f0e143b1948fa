import { freemem, totalmem } from "node:os";
import type { ProcFile } from "./proc-file.ts";

export type Memory = { totalBytes: number; usedBytes: number };

/** `/proc/meminfo` (proc_meminfo(5)): used is what a new program could not have, not what merely is not idle. */
export function parseMeminfo(text: string): Memory | null {
  const total = /^MemTotal: +(\d+) kB$/m.exec(text)?.[1];
  const available = /^MemAvailable: +(\d+) kB$/m.exec(text)?.[1];
  if (total === undefined || available === undefined) return null;
  const totalBytes = Number(total) * 1024;
  return { totalBytes, usedBytes: Math.max(0, totalBytes - Number(available) * 1024) };
}

export function procMemory(file: ProcFile): () => Memory | null {
  return () => {
    const text = file.read();
    return text === null ? null : parseMeminfo(text);
  };
}

/** As {@link procMemory} where there is no `/proc`. */
export function portableMemory(): Memory | null {
  const totalBytes = totalmem();
  return totalBytes > 0 ? { totalBytes, usedBytes: totalBytes - freemem() } : null;
}

/** Tenths of a percent. */
export function shareOf({ totalBytes, usedBytes }: Memory): number | null {
  return totalBytes > 0 ? Math.min(1000, Math.round((usedBytes * 1000) / totalBytes)) : null;
}
