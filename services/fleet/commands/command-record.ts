import {
  Command,
  type CommandProgress,
  type CommandResult,
  type CommandRow,
  type CommandState,
  type CommandView,
  type Issuer,
  type SignedCommand,
} from "../../../lib/contracts/commands.ts";

/** One step of a command's history; `at` by the hub's clock, `by` the person who brought it about. */
export type Step = { state: CommandState; at: string; by: Issuer | null };

/** How long a command may wait: for its machine, and before that for another person, ms. */
export type Waits = { validMs: number; approvalMs: number };

/** A command as it is asked for: signed, or waiting for approval and not signed yet. */
export type NewCommand = {
  signed: SignedCommand | null;
  command: Command;
  waits: Waits;
  /** The rollout that it belongs to. */
  rollout: string | null;
};

/** A command as the fleet's store has it. `signed` is what was and will be published, byte for byte. */
export type CommandRecord = NewCommand & { history: Step[]; result: CommandResult | null };

/** How far a running command is; kept in memory only. */
export type Progress = Pick<CommandProgress, "done" | "of">;

type NameOf = (sub: string) => string | null;

export function stepOf(record: CommandRecord): Step {
  const last = record.history.at(-1);
  if (last === undefined) throw new Error(`Reading command ${record.command.id} failed: it has no history.`);
  return last;
}

export function rowOf(record: CommandRecord, nameOf: NameOf): CommandRow {
  const { id, machine, name, issuedAt, issuer } = record.command;
  const { state, at } = stepOf(record);
  return { id, machine, name, state, who: nameOf(issuer.sub), issuedAt, since: at };
}

export function viewOf(record: CommandRecord, nameOf: NameOf, progress: Progress | null): CommandView {
  const { args, notAfter, timeoutMs } = record.command;
  const { result, rollout } = record;
  const history = record.history.map(({ state, at, by }) => ({ state, at, who: by && nameOf(by.sub) }));
  return { ...rowOf(record, nameOf), args, notAfter, timeoutMs, history, rollout, progress, result };
}

/** What is stored of a command. `draft` is there while nothing is signed; older stores have neither it nor the last three. */
type Stored = {
  signed: SignedCommand | null;
  history: (Omit<Step, "by"> & Partial<Pick<Step, "by">>)[];
  result: CommandResult | null;
  draft?: Command;
  waits?: Waits;
  rollout?: string | null;
};

/** What a command of an older store was asked with, which had no approvals. */
const APPROVAL_BEFORE_MS = 900_000;

/** A command that is signed is stored once, as the signed text. */
export function encodeRecord({ signed, command, ...rest }: CommandRecord): Buffer {
  const stored: Stored = signed === null ? { signed, draft: command, ...rest } : { signed, ...rest };
  return Buffer.from(JSON.stringify(stored));
}

export function decodeRecord(bytes: Buffer): CommandRecord {
  const { signed, draft, history, result, waits, rollout } = JSON.parse(bytes.toString("utf8")) as Stored;
  const command = Command.parse(signed === null ? draft : JSON.parse(signed.body));
  return {
    signed,
    command,
    history: history.map((step) => ({ by: null, ...step })),
    result,
    waits: waits ?? { validMs: validMsOf(command), approvalMs: APPROVAL_BEFORE_MS },
    rollout: rollout ?? null,
  };
}

function validMsOf({ issuedAt, notAfter }: Command): number {
  return Date.parse(notAfter) - Date.parse(issuedAt);
}
