import { readFileSync } from "node:fs";

const EVERY_MS = 20;

/**
 * Watches how much memory this process has to itself. LevelDB maps the files that it reads, up to a thousand of them: those
 * pages count as resident, are the system's to take back, and grow with the book.
 *
 * @returns what gives the peak so far in MiB; the peak of all that was resident where Linux's /proc is not there.
 */
export function watchPrivateMemory(): () => number {
  let peak = 0;
  const look = () => void (peak = Math.max(peak, privateMiB()));
  look();
  setInterval(look, EVERY_MS).unref();
  return () => {
    look();
    return peak > 0 ? peak : process.resourceUsage().maxRSS / 1024;
  };
}

/** 0 where it cannot be told. */
function privateMiB(): number {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
