import { type CommandResult, type CommandState, type Issuer, isOpen } from "../../../lib/contracts/commands.ts";
import type { IssuedCommand } from "./issue-command.ts";

/**
 * What happened to a command: brought about by a person, done by the fleet, said by its machine, or concluded by the
 * fleet from silence. `by` is null where the fleet itself calls a command back.
 */
export type Happening =
  | { kind: "approved"; by: Issuer; made: IssuedCommand }
  | { kind: "cancelled"; by: Issuer | null }
  | { kind: "sent" }
  | { kind: "ack" }
  | { kind: "progress" }
  | { kind: "result"; result: CommandResult }
  | { kind: "silence" };

/** States that the fleet concluded on its own; the machine's own word, should it still come, is worth more. */
const CONCLUDED: readonly CommandState[] = ["expired", "timed-out", "cancelled"];

/** States from which a command can be called back: its machine has not said that it has it. */
const RECALLABLE: readonly CommandState[] = ["pending-approval", "queued", "sent"];

/**
 * The state that follows, null where what happened changes nothing: repeated and late words of a machine among it, so
 * that they cost no write, and whatever is said of a command that waits for approval, which no machine can have.
 */
export function stateAfter(before: CommandState, happening: Happening): CommandState | null {
  switch (happening.kind) {
    case "approved":
      return before === "pending-approval" ? "queued" : null;
    case "cancelled":
      return RECALLABLE.includes(before) ? "cancelled" : null;
    case "silence":
      return afterSilence(before);
    case "sent":
      return before === "queued" ? "sent" : null;
    default:
      return before === "pending-approval" ? null : afterWord(before, happening);
  }
}

function afterWord(before: CommandState, word: Happening & { kind: "ack" | "progress" | "result" }) {
  if (word.kind === "ack") return before === "queued" || before === "sent" ? "acknowledged" : null;
  if (word.kind === "progress") return isOpen(before) && before !== "running" ? "running" : null;
  return afterResult(before, word.result);
}

function afterResult(before: CommandState, { status }: CommandResult): CommandState | null {
  if (isOpen(before)) return status;
  // A machine that rejects what the fleet gave up says nothing new.
  return CONCLUDED.includes(before) && status !== "rejected" ? status : null;
}

function afterSilence(before: CommandState): CommandState | null {
  if (!isOpen(before)) return null;
  return before === "acknowledged" || before === "running" ? "timed-out" : "expired";
}
