import type { Actor, EventDraft, EventType } from "../../../lib/contracts/events.ts";
import { lastStep, type RolloutRecord } from "./rollout-record.ts";

const OVER: Readonly<Record<string, EventType>> = {
  "pending-approval": "rollout.proposed",
  cancelled: "rollout.cancelled",
};

/**
 * What audit is told when a rollout came into its present state, or began its newest wave. Persons are the actors of what
 * they ask for, agree to or cancel; the fleet of the rest. Each command of it has events of its own.
 */
export function rolloutEvent(
  record: RolloutRecord,
  what: "state" | "wave",
  moment: { id: string; at: string; tz: string },
): EventDraft {
  const step = lastStep(record);
  const before = record.history.at(-2)?.state ?? null;
  const wave = what === "wave" ? record.waves.at(-1) : undefined;
  const of = { name: record.asked.name };
  const fleet: Actor = { sub: "fleet", auth: "service" };
  return {
    ...moment,
    clock: { source: "unknown", offsetMs: null },
    type: wave === undefined ? typeOf(step.state, before) : "rollout.wave-begun",
    actor: wave === undefined && step.by !== null ? { sub: step.by.sub, auth: step.by.auth } : fleet,
    obj: { kind: "rollout", key: record.asked.id },
    reason: null,
    payload:
      wave === undefined
        ? {
            ...of,
            before,
            after: step.state,
            waves: record.waves.length,
            tally: step.tally,
            ...askedIn(record, before),
          }
        : {
            ...of,
            before: record.waves.length - 1,
            after: record.waves.length,
            commands: wave.parts.map(({ machine, command }) => ({ machine, command })),
          },
  };
}

function typeOf(state: string, before: string | null): EventType {
  if (state === "running") return before === null ? "rollout.begun" : "rollout.approved";
  return OVER[state] ?? "rollout.ended";
}

/** What it is stands in the first event of it. */
function askedIn({ asked }: RolloutRecord, before: string | null): EventDraft["payload"] {
  if (before !== null) return {};
  const { args, machines, waveSize, stopAfter, validMs, timeoutMs } = asked;
  return { args, machines, waveSize, stopAfter, validMs, timeoutMs };
}
