import type { EventDraft } from "../../lib/contracts/events.ts";
import type { AlarmRule } from "../../lib/runtime/alarms.ts";
import type { Duplicate } from "./duplicates.ts";

/** What audit is told when two agents are found to bear one id, and when one of them has been quiet for long enough. */
export function duplicateEvent(o: {
  id: string;
  now: number;
  tz: string;
  type: "machine.duplicated" | "machine.duplicate-ended";
  machine: string;
  duplicate: Duplicate;
  /** From where the hub has connections of this name. */
  addresses: string[];
}): EventDraft {
  const { boots, since } = o.duplicate;
  return {
    id: o.id,
    type: o.type,
    at: new Date(o.now).toISOString(),
    tz: o.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: { sub: "fleet", auth: "service" },
    obj: { kind: "machine", key: o.machine },
    reason: null,
    payload: { boots, since: new Date(since).toISOString(), addresses: o.addresses },
  };
}

/** Says which machines are there twice, at once, and until it is known to be over. */
export function duplicateMachine(o: { all: () => string[]; addresses: (machine: string) => string[] }): AlarmRule {
  const told = (machine: string) => `${machine} (${o.addresses(machine).join(", ") || "addresses unknown"})`;
  return {
    name: "duplicate-machine",
    look: () => {
      const machines = o.all();
      if (machines.length === 0) return null;
      return `Two agents say at the same time that they are one machine: ${machines.toSorted().map(told).join("; ")}. It gets no commands. Was the disk of one copied to the other? Give one of the two a name and key of its own (RASTRO_MACHINE, and remove its folder below data/agents).`;
    },
    raiseAfterMs: 0,
    clearAfterMs: 0,
  };
}
