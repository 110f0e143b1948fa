import { accessSync } from "node:fs";
import type { HostSources } from "./host-sources.ts";
import { openPortableSources } from "./portable-sources.ts";
import { openProcSources } from "./proc-sources.ts";

/** `/proc` where there is one, systeminformation elsewhere. */
export async function openHostSources(): Promise<HostSources> {
  return hasProc() ? openProcSources() : openPortableSources();
}

function hasProc(): boolean {
  try {
    accessSync("/proc/stat");
    accessSync("/proc/meminfo");
    return true;
  } catch {
    return false;
  }
}
