import type { Approval, CommandState, Issuer } from "../../../lib/contracts/commands.ts";
import type { ErrorCode } from "../../../lib/contracts/errors.ts";
import type { RequestOf } from "../../../lib/contracts/operations.ts";
import type { RolloutRow, RolloutState, RolloutTally, RolloutView } from "../../../lib/contracts/rollouts.ts";
import { type CommandRecord, stepOf } from "../commands/command-record.ts";

/** What was asked for, with the machines by name. */
export type AskedRollout = Omit<RequestOf<"fleet", "rollout-begin">, "machines"> & { machines: string[] };

/** A machine's part in a wave. Its command has this id whether or not it is on disk yet; `refused`: it never will be. */
export type Part = { machine: string; command: string; refused: ErrorCode | null };
export type Wave = { at: string; parts: Part[] };
/** `by` is the person who brought it about, null where the fleet did; `tally` is there once the rollout is over. */
export type RolloutStep = { state: RolloutState; at: string; by: Issuer | null; tally: RolloutTally | null };

/** A rollout as the fleet's store has it. */
export type RolloutRecord = {
  asked: AskedRollout;
  issuer: Issuer;
  approvals: Approval[];
  /** Until when it may be approved, ms; null where nobody has to agree. */
  approveBy: string | null;
  waves: Wave[];
  history: RolloutStep[];
};

type Find = (command: string) => CommandRecord | undefined;

export function lastStep(record: RolloutRecord): RolloutStep {
  const last = record.history.at(-1);
  if (last === undefined) throw new Error(`Reading rollout ${record.asked.id} failed: it has no history.`);
  return last;
}

export function isOver(state: RolloutState): boolean {
  return state !== "pending-approval" && state !== "running";
}

/** Every part of every wave that has begun. */
export function partsOf({ waves }: RolloutRecord): Part[] {
  return waves.flatMap(({ parts }) => parts);
}

/** Counts what came of the commands so far. */
export function tallyOf(record: RolloutRecord, find: Find): RolloutTally {
  const tally = { machines: record.asked.machines.length, open: 0, succeeded: 0, failed: 0, unreached: 0 };
  for (const part of partsOf(record)) tally[fateOf(part, find(part.command))] += 1;
  return tally;
}

/** A machine that was handed its command and then fell silent counts as failed: the command may be why. */
export function fateOf(part: Part, command: CommandRecord | undefined): "open" | "succeeded" | "failed" | "unreached" {
  if (part.refused !== null) return "failed";
  if (command === undefined) return "open";
  const { state } = stepOf(command);
  if (state === "expired") return command.history.some((step) => step.state === "sent") ? "failed" : "unreached";
  return FATES[state];
}

const FATES: Readonly<Record<Exclude<CommandState, "expired">, "open" | "succeeded" | "failed" | "unreached">> = {
  "pending-approval": "open",
  queued: "open",
  sent: "open",
  acknowledged: "open",
  running: "open",
  succeeded: "succeeded",
  failed: "failed",
  rejected: "failed",
  "unknown-outcome": "failed",
  "timed-out": "failed",
  cancelled: "unreached",
};

export function rolloutRow(record: RolloutRecord, find: Find, nameOf: (sub: string) => string | null): RolloutRow {
  const { id, name } = record.asked;
  const { state, at } = lastStep(record);
  const askedAt = record.history[0]?.at ?? at;
  return { id, name, state, who: nameOf(record.issuer.sub), askedAt, since: at, tally: tallyOf(record, find) };
}

export function rolloutView(record: RolloutRecord, find: Find, nameOf: (sub: string) => string | null): RolloutView {
  const { args, machines, waveSize, stopAfter, validMs } = record.asked;
  const stateOf = (id: string) => {
    const command = find(id);
    return command === undefined ? null : stepOf(command).state;
  };
  return {
    ...rolloutRow(record, find, nameOf),
    args,
    machines,
    waveSize,
    stopAfter,
    validMs,
    approveBy: record.approveBy,
    history: record.history.map(({ state, at, by }) => ({ state, at, who: by && nameOf(by.sub) })),
    waves: record.waves.map(({ at, parts }) => ({
      at,
      commands: parts.map((part) => ({ ...part, state: stateOf(part.command) })),
    })),
  };
}
