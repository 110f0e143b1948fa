import type { Summary } from "../../lib/contracts/machine.ts";

/** A summary comes each second; after five without one its rate says nothing about now. */
export const FRESH_FOR = 5000;

export type Known = { summary: Summary; heardAt: number | null };

export type SignsOfLife = {
  /** `retained`: the hub's memory, which says nothing about whether the machine is there now. */
  heard(machine: string, summary: Summary | null, retained: boolean): void;
  /** Whether the machine itself was heard at or after `since`, ms since 1970. */
  heardSince(machine: string, since: number): boolean;
  summary(machine: string): Known | undefined;
};

/** Remembers, in memory only, the last summary of each machine and when the machine itself was last heard. */
export function createSignsOfLife(now: () => number): SignsOfLife {
  const summaries = new Map<string, Known>();
  const heard = new Map<string, number>();
  return {
    heard(machine, summary, retained) {
      if (!retained) heard.set(machine, now());
      if (summary !== null) summaries.set(machine, { summary, heardAt: retained ? null : now() });
    },
    heardSince: (machine, since) => (heard.get(machine) ?? -Infinity) >= since,
    summary: (machine) => summaries.get(machine),
  };
}
