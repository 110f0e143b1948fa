import { existsSync } from "node:fs";
import type { Broker } from "./brokers.ts";

/** One figure of one broker in one row. `remark` says what belongs to it; `instrumentPct` where it was taken. */
export type Result = {
  row: string;
  broker: string;
  what: string;
  figure: number;
  remark: string;
  instrumentPct: number | null;
};

/**
 * Measures each broker in turn, round by round, so that what else happens on the machine meets all of them. One that
 * ends under its load is left out from then on.
 */
export async function inTurn<T>(
  brokers: readonly Broker[],
  rounds: number,
  measure: (broker: Broker) => Promise<T>,
): Promise<Map<Broker, T[]>> {
  const measured = new Map<Broker, T[]>(brokers.map((broker) => [broker, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const broker of brokers.filter(isRunning)) {
      try {
        measured.get(broker)?.push(await measure(broker));
      } catch (error) {
        if (isRunning(broker)) throw error;
        process.stderr.write(`${broker.name} ended under its load: ${String(error)}\n`);
      }
    }
  }
  return measured;
}

function isRunning({ pid }: Broker): boolean {
  return existsSync(`/proc/${pid}/stat`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The median of one figure of several measurements. */
export function medianOf<T>(measured: readonly T[], figure: (of: T) => number): number {
  return median(measured.map(figure));
}
