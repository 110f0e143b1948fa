import type { Summary } from "../../lib/contracts/machine.ts";

export type Rate = Pick<Summary["status"], "rateMilliHz" | "gapUs">;

export interface RateMeter {
  /** Notes one sent status. `now`: monotonic ms with decimals. */
  note(now: number): void;
  /** What was noted since the last call, and starts anew. Null gaps read as 0 where fewer than two were noted. */
  take(now: number): Rate;
}

/** More than a second of statuses at 1 kHz, so that a summary that comes late still sees every gap. */
const KEPT = 4096;

/** Measures the achieved rate and the spacing of statuses between two calls of `take`. */
export function createRateMeter(start: number): RateMeter {
  const gaps = new Uint32Array(KEPT);
  let noted = 0;
  let kept = 0;
  let previous: number | null = null;
  let since = start;
  return {
    note: (now) => {
      noted++;
      if (previous !== null && kept < KEPT) gaps[kept++] = Math.round((now - previous) * 1000);
      previous = now;
    },
    take: (now) => {
      const sorted = gaps.slice(0, kept).sort();
      const span = now - since;
      const rate = {
        rateMilliHz: span > 0 ? Math.round((noted * 1e6) / span) : 0,
        gapUs: { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: percentile(sorted, 1) },
      };
      since = now;
      noted = 0;
      kept = 0;
      return rate;
    },
  };
}

/** Nearest rank. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  const rank = Math.max(1, Math.ceil(sorted.length * share));
  return sorted[rank - 1] ?? 0;
}
