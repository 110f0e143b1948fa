import { existsSync } from "node:fs";
import type { Event } from "../lib/contracts/events.ts";

export type ClockState = Event["clock"];

/** Exists where systemd keeps the clock; the second appears once it is in step (systemd-timesyncd.service(8)). */
const TIMESYNC = "/run/systemd/timesync";
const SYNCHRONIZED = "/run/systemd/timesync/synchronized";

/**
 * Whether the host's clock is in step, as far as can be seen without starting a program: `none` is said only where a
 * time service is there and has not succeeded.
 */
export function clockSource(exists: (path: string) => boolean = existsSync): ClockState["source"] {
  if (exists(SYNCHRONIZED)) return "ntp";
  return exists(TIMESYNC) ? "none" : "unknown";
}
