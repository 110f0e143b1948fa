import type { CommandResult } from "../../lib/contracts/commands.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import type { RefusalReport } from "../../lib/runtime/refusals.ts";
import type { Moment } from "../own-events.ts";
import { digestOf, type Entry } from "./journal.ts";

/** What the agent tells audit of a command that it began: the outcome and the digest of the result, never the result. */
export function commandExecuted(machine: string, entry: Entry, result: CommandResult, moment: Moment): EventDraft {
  return {
    ...moment,
    type: "command.executed",
    actor: { sub: machine, auth: "device" },
    obj: { kind: "command", key: entry.id },
    reason: null,
    payload: {
      name: entry.name,
      command: entry.digest,
      outcome: result.status,
      code: result.error?.code ?? null,
      digest: result.data === null ? null : digestOf(canonicalText(result.data)),
    },
  };
}

/** What the agent tells audit of commands that it refused: in counts, so that a flood stays a record a minute. */
export function commandRefused(machine: string, report: RefusalReport, moment: Moment): EventDraft {
  const { code, count, detail, from, to } = report;
  const instant = (ms: number) => new Date(ms).toISOString();
  return {
    ...moment,
    type: "command.refused",
    actor: { sub: machine, auth: "device" },
    obj: { kind: "topic", key: detail.slice(0, 128) },
    reason: null,
    payload: { code, count, first: instant(from), last: instant(to) },
  };
}
