import { createHash } from "node:crypto";
import type { CommandState } from "../../../lib/contracts/commands.ts";
import type { Actor, EventDraft, EventType } from "../../../lib/contracts/events.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { type CommandRecord, stepOf } from "./command-record.ts";

const TYPES: Readonly<Partial<Record<CommandState, EventType>>> = {
  queued: "command.issued",
  sent: "command.sent",
  acknowledged: "command.acknowledged",
  running: "command.running",
};

/**
 * What audit is told when a command came into its present state. The issuer is the actor of the issuing, the machine of
 * what it said, the fleet of the rest. Of a result only its digest is told: a book cannot forget, and the machine's own
 * `command.executed` carries the same digest under the machine's signature.
 */
export function commandEvent(record: CommandRecord, moment: { id: string; tz: string }): EventDraft {
  const { command } = record;
  const { state, at } = stepOf(record);
  return {
    id: moment.id,
    type: TYPES[state] ?? "command.finished",
    at,
    tz: moment.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: actorOf(record, state),
    obj: { kind: "command", key: command.id },
    reason: null,
    payload: { machine: command.machine, name: command.name, ...detailsOf(record, state) },
  };
}

function detailsOf({ command, result, history }: CommandRecord, state: CommandState): EventDraft["payload"] {
  if (state === "queued") {
    const { args, notAfter, timeoutMs } = command;
    return { args, notAfter, timeoutMs };
  }
  if (TYPES[state] !== undefined) return {};
  const late = history.some((step) => step.state === "expired" || step.state === "timed-out") && result !== null;
  return { outcome: state, code: result?.error?.code ?? null, digest: digestOf(result?.data ?? null), late };
}

/** SHA-256 of the canonical JSON; null for no data, and for data that no machine of ours would have sent. */
function digestOf(data: unknown): string | null {
  if (data === null) return null;
  try {
    return createHash("sha256").update(canonicalBytes(data)).digest("hex");
  } catch {
    return null;
  }
}

function actorOf({ command }: CommandRecord, state: CommandState): Actor {
  if (state === "queued") return { sub: command.issuer.sub, auth: command.issuer.auth };
  if (state === "sent" || state === "expired" || state === "timed-out") return { sub: "fleet", auth: "service" };
  return { sub: command.machine, auth: "device" };
}
