import type { Presence } from "../../lib/contracts/machine.ts";
import type { After } from "../../lib/messaging/timing.ts";

/**
 * How long it takes until a duplicate counts as ended, ms. Two agents of one id answer each other's word, at last once
 * a minute each (lib/messaging/repeats.ts).
 */
export const ENDED_AFTER = 180_000;

/** Two agents that say at the same time that they are one machine. `since`, ms since 1970, is when it was found out. */
export type Duplicate = { boots: string[]; since: number };

export type Duplicates = {
  /**
   * Takes in what was said of a machine. @returns whether it is a word of two agents that are known to answer each
   * other, which says nothing new about whether the machine is there.
   */
  note(machine: string, presence: Presence | null): boolean;
  of(machine: string): Duplicate | null;
  all(): string[];
  close(): void;
};

type Watched = {
  /** The boots that were heard, the last one last, and when. */
  heard: Map<string, number>;
  found: Duplicate | null;
  lastBackAt: number;
};

/**
 * Finds out that two agents bear one id, as two computers do of which one was made from a copy of the other's disk:
 * name, key and credentials are the same, so that both are let in. What differs is the boot id, random at each start of
 * an agent. One that comes back after another was heard cannot be the same agent started anew.
 */
export function createDuplicates(o: {
  now: () => number;
  after: After;
  onFound: (machine: string, duplicate: Duplicate) => void;
  onEnded: (machine: string, duplicate: Duplicate) => void;
}): Duplicates {
  const watched = new Map<string, Watched>();
  const pending = new Map<string, () => void>();

  function endWhenQuiet(machine: string, one: Watched, ms: number): void {
    const look = () => {
      pending.delete(machine);
      const quietFor = o.now() - one.lastBackAt;
      if (quietFor < ENDED_AFTER) return endWhenQuiet(machine, one, ENDED_AFTER - quietFor);
      const ended = one.found;
      watched.delete(machine);
      if (ended !== null) o.onEnded(machine, ended);
    };
    pending.set(machine, o.after(ms, look));
  }

  function cameBack(machine: string, one: Watched, boot: string, other: string): void {
    one.lastBackAt = o.now();
    if (one.found !== null) return;
    one.found = { boots: [other, boot], since: o.now() };
    endWhenQuiet(machine, one, ENDED_AFTER);
    o.onFound(machine, one.found);
  }

  return {
    note(machine, presence) {
      // The fleet's own word repeats what an agent had said.
      if (presence === null || !presence.online || presence.why !== "birth") return false;
      const one = watched.get(machine) ?? { heard: new Map<string, number>(), found: null, lastBackAt: 0 };
      watched.set(machine, one);
      const { boot } = presence;
      const last = [...one.heard.keys()].at(-1);
      const isBack = last !== undefined && last !== boot && one.heard.has(boot);
      one.heard.delete(boot);
      one.heard.set(boot, o.now());
      for (const [old, at] of one.heard) if (o.now() - at > ENDED_AFTER && old !== boot) one.heard.delete(old);
      if (isBack) cameBack(machine, one, boot, last);
      return isBack;
    },
    of: (machine) => watched.get(machine)?.found ?? null,
    all: () => [...watched].flatMap(([machine, { found }]) => (found === null ? [] : [machine])),
    close() {
      for (const cancel of pending.values()) cancel();
      pending.clear();
    },
  };
}
