import {
  Command,
  type CommandProgress,
  type CommandResult,
  type CommandRow,
  type CommandState,
  type CommandView,
  type SignedCommand,
} from "../../../lib/contracts/commands.ts";

/** One step of a command's history; `at` by the hub's clock. */
export type Step = { state: CommandState; at: string };

/** A command as the fleet's store has it. `signed` is what was and will be published, byte for byte. */
export type CommandRecord = { signed: SignedCommand; command: Command; history: Step[]; result: CommandResult | null };

/** How far a running command is; kept in memory only. */
export type Progress = Pick<CommandProgress, "done" | "of">;

export function stepOf(record: CommandRecord): Step {
  const last = record.history.at(-1);
  if (last === undefined) throw new Error(`Reading command ${record.command.id} failed: it has no history.`);
  return last;
}

export function rowOf(record: CommandRecord, nameOf: (sub: string) => string | null): CommandRow {
  const { id, machine, name, issuedAt, issuer } = record.command;
  const { state, at } = stepOf(record);
  return { id, machine, name, state, who: nameOf(issuer.sub), issuedAt, since: at };
}

export function viewOf(
  record: CommandRecord,
  nameOf: (sub: string) => string | null,
  progress: Progress | null,
): CommandView {
  const { args, notAfter, timeoutMs } = record.command;
  const { history, result } = record;
  return { ...rowOf(record, nameOf), args, notAfter, timeoutMs, history, progress, result };
}

/** The command itself is stored once, as the signed text. */
export function encodeRecord({ signed, history, result }: CommandRecord): Buffer {
  return Buffer.from(JSON.stringify({ signed, history, result }));
}

export function decodeRecord(bytes: Buffer): CommandRecord {
  const stored = JSON.parse(bytes.toString("utf8")) as Omit<CommandRecord, "command">;
  return { ...stored, command: Command.parse(JSON.parse(stored.signed.body)) };
}
