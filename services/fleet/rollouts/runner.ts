import type { Issuer } from "../../../lib/contracts/commands.ts";
import { type ErrorCode, RastroError } from "../../../lib/contracts/errors.ts";
import type { RolloutState } from "../../../lib/contracts/rollouts.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { CommandRecord } from "../commands/command-record.ts";
import { fateOf, lastStep, type Part, partsOf, type RolloutRecord, tallyOf, type Wave } from "./rollout-record.ts";
import type { RolloutStore } from "./rollout-store.ts";

/** After so long no further wave begins, ms: nobody is to be surprised by what was asked for a day ago. */
const AGE_MAXIMUM_MS = 12 * 3_600_000;

/** As much of commands as rollouts take. */
export interface CommandPort {
  find(id: string): CommandRecord | undefined;
  /** Issues the command of a rollout's part and sends it if the machine is there. @throws RastroError when it is refused. */
  issue(rollout: RolloutRecord, part: Part): Promise<void>;
  /** Calls a command back; does nothing where its machine has it already. `by` is null for the fleet. */
  recall(id: string, by: Issuer | null): Promise<void>;
}

export type Runner = {
  /** Goes on with a rollout as far as that goes now: to be called when it began, was approved, or a command of it ended. */
  advance(id: string): Promise<void>;
  /**
   * Ends a rollout and calls back what no machine has acknowledged.
   *
   * @returns the rollout; null when it is over already, or unknown.
   */
  end(id: string, state: RolloutState, by: Issuer | null): Promise<RolloutRecord | null>;
  /** Sees to it that a rollout that waits for approval does not wait for ever. */
  watchApproval(record: RolloutRecord): void;
  close(): void;
};

/**
 * Sends wave after wave. The ids of a wave's commands are on disk before any of them is issued, so that whatever is cut
 * off goes on where it was and no machine gets a second command: issuing one that is there already does nothing.
 */
export function createRunner(o: {
  rollouts: RolloutStore;
  commands: CommandPort;
  newId: () => string;
  now: () => number;
  after: After;
  log: Logger;
}): Runner {
  const { rollouts, commands } = o;
  const turns = new Map<string, Promise<void>>();
  const timers = new Set<() => void>();
  const at = () => new Date(o.now()).toISOString();

  /**
   * One piece of work at a time for each rollout: two ends of commands at once begin one wave, and who cancels finds
   * every command of a wave issued or none.
   */
  function inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(id) ?? Promise.resolve()).then(work);
    const settled: Promise<void> = turn.then(
      () => undefined,
      () => undefined,
    );
    turns.set(id, settled);
    void settled.then(() => {
      if (turns.get(id) === settled) turns.delete(id);
    });
    return turn;
  }

  async function goOn(id: string): Promise<void> {
    for (;;) {
      const record = await issueWave(id);
      if (record === null) return;
      const { open, failed } = tallyOf(record, commands.find);
      const next = nextOf(record, { open, failed });
      if (next === "wait") return;
      if (next !== "wave") return void (await endNow(id, next, null));
      await rollouts.change(id, (before) => (isRunning(before) ? withWave(before) : null));
    }
  }

  function nextOf(record: RolloutRecord, { open, failed }: { open: number; failed: number }) {
    if (failed >= record.asked.stopAfter) return "stopped";
    if (open > 0) return "wait";
    if (partsOf(record).length >= record.asked.machines.length) return "done";
    return o.now() - begunAt(record) > AGE_MAXIMUM_MS ? "expired" : "wave";
  }

  /** Issues what is missing of the newest wave. @returns the rollout as it is then; null unless it is running. */
  async function issueWave(id: string): Promise<RolloutRecord | null> {
    const record = rollouts.find(id);
    if (record === undefined || !isRunning(record)) return null;
    const wave = record.waves.at(-1);
    const missing = wave?.parts.filter((part) => part.refused === null && commands.find(part.command) === undefined);
    for (const part of missing ?? []) await issuePart(record, wave as Wave, part);
    const after = rollouts.find(id);
    return after !== undefined && isRunning(after) ? after : null;
  }

  async function issuePart(record: RolloutRecord, wave: Wave, part: Part): Promise<void> {
    // Only after a restart in the middle: what was to be begun long ago is not begun now.
    if (o.now() > Date.parse(wave.at) + record.asked.validMs) return refuse(record.asked.id, part, "expired");
    try {
      await commands.issue(record, part);
    } catch (thrown) {
      if (!(thrown instanceof RastroError)) throw thrown;
      o.log.warn({ id: record.asked.id, machine: part.machine, code: thrown.code }, thrown.message);
      await refuse(record.asked.id, part, thrown.code);
    }
  }

  async function refuse(id: string, { command }: Part, refused: ErrorCode): Promise<void> {
    const mark = (part: Part) => (part.command === command ? { ...part, refused } : part);
    await rollouts.change(id, (before) => ({
      ...before,
      waves: before.waves.map((wave) => ({ ...wave, parts: wave.parts.map(mark) })),
    }));
  }

  function withWave(record: RolloutRecord): RolloutRecord {
    const begun = partsOf(record).length;
    const machines = record.asked.machines.slice(begun, begun + record.asked.waveSize);
    const parts = machines.map((machine) => ({ machine, command: o.newId(), refused: null }));
    return { ...record, waves: [...record.waves, { at: at(), parts }] };
  }

  async function endNow(id: string, state: RolloutState, by: Issuer | null): Promise<RolloutRecord | null> {
    const ended = await rollouts.change(id, (before) => {
      const now = lastStep(before).state;
      if (now !== "running" && now !== "pending-approval") return null;
      const tally = tallyOf(before, commands.find);
      return { ...before, history: [...before.history, { state, at: at(), by, tally }] };
    });
    if (ended === null) return null;
    const open = partsOf(ended).filter((part) => fateOf(part, commands.find(part.command)) === "open");
    for (const part of open) await commands.recall(part.command, by);
    return ended;
  }

  const end: Runner["end"] = (id, state, by) => inTurn(id, () => endNow(id, state, by));

  return {
    advance: (id) => inTurn(id, () => goOn(id)),
    end,
    watchApproval(record) {
      if (record.approveBy === null || lastStep(record).state !== "pending-approval") return;
      const { id } = record.asked;
      const cancel = o.after(Math.max(0, Date.parse(record.approveBy) + 1 - o.now()), () => {
        timers.delete(cancel);
        const latest = rollouts.find(id);
        if (latest === undefined || lastStep(latest).state !== "pending-approval") return;
        if (Date.parse(record.approveBy ?? "") >= o.now()) return this.watchApproval(latest);
        end(id, "expired", null).catch((error: unknown) => o.log.error({ err: error, id }, "a rollout did not expire"));
      });
      timers.add(cancel);
    },
    close() {
      for (const cancel of timers) cancel();
      timers.clear();
    },
  };
}

function isRunning(record: RolloutRecord): boolean {
  return lastStep(record).state === "running";
}

/** When it was begun or approved, ms. */
function begunAt(record: RolloutRecord): number {
  return Date.parse(record.history.find(({ state }) => state === "running")?.at ?? lastStep(record).at);
}
