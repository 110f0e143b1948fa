import type { AlarmRule } from "../../lib/runtime/alarms.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";

/**
 * Raised when the audit book is behind: what production has booked waits in its outbox until audit has it too.
 *
 * @param o.ms - the age of the oldest event that waits; @param o.events - how many wait.
 */
export function auditLag(o: {
  outbox: Pick<Outbox, "depth">;
  ms: number;
  events: number;
  now: () => number;
}): AlarmRule {
  return {
    name: "audit-lag",
    raiseAfterMs: 0,
    clearAfterMs: 10_000,
    look() {
      const { waiting, oldest } = o.outbox.depth();
      const age = oldest === null ? 0 : o.now() - Date.parse(oldest);
      if (age < o.ms && waiting < o.events) return null;
      return `The audit book is behind: ${waiting} events wait for it, the oldest for ${Math.floor(age / 1000)} s. See whether the audit service is ready.`;
    },
  };
}
