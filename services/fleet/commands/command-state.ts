import { type CommandResult, type CommandState, isOpen } from "../../../lib/contracts/commands.ts";

/** What happened to a command: said by its machine, done by the fleet, or concluded by it from silence. */
export type Happening =
  | { kind: "sent" }
  | { kind: "ack" }
  | { kind: "progress" }
  | { kind: "result"; result: CommandResult }
  | { kind: "silence" };

/** States that the fleet concluded on its own; the machine's own word, should it still come, is worth more. */
const CONCLUDED: readonly CommandState[] = ["expired", "timed-out"];

/**
 * The state that follows, null where what happened changes nothing: repeated and late words of a machine among it, so
 * that they cost no write.
 */
export function stateAfter(before: CommandState, happening: Happening): CommandState | null {
  switch (happening.kind) {
    case "sent":
      return before === "queued" ? "sent" : null;
    case "ack":
      return before === "queued" || before === "sent" ? "acknowledged" : null;
    case "progress":
      return isOpen(before) && before !== "running" ? "running" : null;
    case "result":
      return afterResult(before, happening.result);
    default:
      return afterSilence(before);
  }
}

function afterResult(before: CommandState, { status }: CommandResult): CommandState | null {
  if (isOpen(before)) return status;
  // A machine that rejects what the fleet gave up says nothing new.
  return CONCLUDED.includes(before) && status !== "rejected" ? status : null;
}

function afterSilence(before: CommandState): CommandState | null {
  if (!isOpen(before)) return null;
  return before === "queued" || before === "sent" ? "expired" : "timed-out";
}
