import { createHash } from "node:crypto";
import type { CommandState } from "../../../lib/contracts/commands.ts";
import type { Actor, EventDraft, EventType } from "../../../lib/contracts/events.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { type CommandRecord, type Step, stepOf } from "./command-record.ts";

const TYPES: Readonly<Partial<Record<CommandState, EventType>>> = {
  "pending-approval": "command.proposed",
  queued: "command.issued",
  sent: "command.sent",
  acknowledged: "command.acknowledged",
  running: "command.running",
  cancelled: "command.cancelled",
};

/** States that the fleet brought about, unless a person did. */
const OF_FLEET: readonly CommandState[] = ["sent", "expired", "timed-out", "cancelled"];

/**
 * What audit is told when a command came into its present state, with the state before. A person is the actor of what
 * persons do (ask, agree, call back), the machine of what it said, the fleet of the rest. Of a result only its digest
 * is told: a book cannot forget, and the machine's own `command.executed` carries the same digest under the machine's
 * signature.
 */
export function commandEvent(record: CommandRecord, moment: { id: string; tz: string }): EventDraft {
  const { command, history } = record;
  const step = stepOf(record);
  const before = history.at(-2)?.state ?? null;
  return {
    id: moment.id,
    type: before === "pending-approval" && step.state === "queued" ? "command.approved" : typeOf(step),
    at: step.at,
    tz: moment.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: actorOf(record, step),
    obj: { kind: "command", key: command.id },
    reason: null,
    payload: {
      machine: command.machine,
      name: command.name,
      before,
      after: step.state,
      ...detailsOf(record, step.state),
    },
  };
}

function typeOf({ state }: Step): EventType {
  return TYPES[state] ?? "command.finished";
}

function detailsOf({ command, result, history, waits, rollout }: CommandRecord, state: CommandState) {
  if (state === "pending-approval" || state === "queued") {
    const { args, notAfter, timeoutMs, issuer, approvals } = command;
    const persons = { issuer: issuer.sub, approvals: approvals.map(({ by }) => by.sub) };
    return { args, notAfter, timeoutMs, validMs: waits.validMs, rollout, ...persons };
  }
  if (TYPES[state] !== undefined) return {};
  const late = result !== null && history.some((step) => GIVEN_UP.includes(step.state));
  return { outcome: state, code: result?.error?.code ?? null, digest: digestOf(result?.data ?? null), late };
}

const GIVEN_UP: readonly CommandState[] = ["expired", "timed-out", "cancelled"];

/** SHA-256 of the canonical JSON; null for no data, and for data that no machine of ours would have sent. */
function digestOf(data: unknown): string | null {
  if (data === null) return null;
  try {
    return createHash("sha256").update(canonicalBytes(data)).digest("hex");
  } catch {
    return null;
  }
}

function actorOf({ command }: CommandRecord, { state, by }: Step): Actor {
  if (by !== null) return { sub: by.sub, auth: by.auth };
  if (OF_FLEET.includes(state)) return { sub: "fleet", auth: "service" };
  return { sub: command.machine, auth: "device" };
}
