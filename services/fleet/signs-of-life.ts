import type { Summary } from "../../lib/contracts/machine.ts";

/** A summary comes each second; after five without one its rate says nothing about now. */
export const FRESH_FOR = 5000;

/** So many summaries, each soon after the one before, and there will be a next one. */
const REGULAR = 3;
const SOON = 3000;

export type Known = { summary: Summary; heardAt: number | null };

export type SignsOfLife = {
  /** `retained`: the hub's memory, which says nothing about whether the machine is there now. */
  heard(machine: string, summary: Summary | null, retained: boolean): void;
  /** Whether the machine itself was heard at or after `since`, ms since 1970. */
  heardSince(machine: string, since: number): boolean;
  /** Whether the machine sends a summary each second, as an agent does: then its silence says that it is gone. */
  reports(machine: string): boolean;
  /** When the machine itself was last heard, ms since 1970; null for one that was not. */
  heardAt(machine: string): number | null;
  summary(machine: string): Known | undefined;
};

/** Remembers, in memory only, the last summary of each machine and when the machine itself was last heard. */
export function createSignsOfLife(now: () => number): SignsOfLife {
  const summaries = new Map<string, Known>();
  const heard = new Map<string, number>();
  const inRow = new Map<string, number>();

  function count(machine: string, retained: boolean): void {
    // The hub's memory of one says that there were others.
    if (retained) return void inRow.set(machine, REGULAR);
    const before = summaries.get(machine)?.heardAt ?? null;
    const soon = before !== null && now() - before <= SOON;
    const known = inRow.get(machine) ?? 0;
    inRow.set(machine, soon || known >= REGULAR ? known + 1 : 1);
  }

  return {
    heard(machine, summary, retained) {
      if (!retained) heard.set(machine, now());
      if (summary === null) return;
      count(machine, retained);
      summaries.set(machine, { summary, heardAt: retained ? null : now() });
    },
    heardSince: (machine, since) => (heard.get(machine) ?? -Infinity) >= since,
    reports: (machine) => (inRow.get(machine) ?? 0) >= REGULAR,
    heardAt: (machine) => heard.get(machine) ?? null,
    summary: (machine) => summaries.get(machine),
  };
}
