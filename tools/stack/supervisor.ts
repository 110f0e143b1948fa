import type { ChildProcess } from "node:child_process";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Output } from "./output.ts";
import type { Plan } from "./plan.ts";
import { createWorker, type Timing, TIMING, type Worker } from "./worker.ts";

export type SupervisorTiming = Timing & {
  /** How long a group may take to get ready at the start, since the last word that one of it works. */
  startMs: number;
  /** How long a group is given before the next one is asked to stop as well. */
  stageMs: number;
  /** When whatever is left is killed, counted from the beginning of the stop. */
  stopMs: number;
};

/** Four groups at 1.1 s leave the broker more than half a second even when every group before it hangs. */
export const SUPERVISOR_TIMING: SupervisorTiming = { ...TIMING, startMs: 60_000, stageMs: 1_100, stopMs: 5_000 };

export interface Supervisor {
  /** Resolves when every group is ready or `stop` was called. Rejects with one sentence when that cannot be; call `stop` then. */
  start(): Promise<void>;
  /** Stops the groups in the opposite order within `stopMs`; names those that had to be killed. May be called at any time. */
  stop(): Promise<{ killed: string[] }>;
  /** Kills everything at once. */
  kill(): void;
}

/** Runs groups of processes, each group started when the one before is ready. */
export function createSupervisor(o: {
  groups: readonly (readonly Plan[])[];
  launch: (plan: Plan) => ChildProcess;
  output: Output;
  now: () => number;
  timing?: SupervisorTiming;
}): Supervisor {
  const timing = o.timing ?? SUPERVISOR_TIMING;
  const groups = o.groups.map((plans) => plans.map((plan) => createWorker({ ...o, plan, timing })));
  const stopAsked = Promise.withResolvers<void>();
  let stopped: Promise<{ killed: string[] }> | null = null;

  return {
    start: async () => {
      for (const group of groups) {
        if (stopped !== null) return;
        await startGroup(group, timing.startMs, stopAsked.promise);
      }
    },
    stop: () => {
      stopAsked.resolve();
      return (stopped ??= stopGroups(groups, timing));
    },
    kill: () => {
      stopAsked.resolve();
      for (const worker of groups.flat()) worker.kill();
    },
  };
}

async function startGroup(group: readonly Worker[], startMs: number, stopAsked: Promise<void>): Promise<void> {
  const tooLate = Promise.withResolvers<never>();
  const ready = new Set<string>();
  const timer = setTimeout(() => {
    const late = group.filter((worker) => !ready.has(worker.name));
    tooLate.reject(new RastroError({ code: "timeout", message: lateSentence(late, startMs) }));
  }, startMs);
  try {
    const starts = group.map((worker) => worker.start(() => timer.refresh()).then(() => ready.add(worker.name)));
    await Promise.race([Promise.all(starts), tooLate.promise, stopAsked]);
  } finally {
    clearTimeout(timer);
  }
}

function lateSentence(late: readonly Worker[], startMs: number): string {
  const names = late.map((worker) => worker.name).join(", ");
  const words = late.map((worker) => worker.lastWords()).find((line) => line !== null);
  const because = words === undefined || words === null ? "" : `; the last it said was: ${words}`;
  return `Starting ${names} failed: not ready after ${startMs / 1000} s${because}`;
}

async function stopGroups(groups: readonly (readonly Worker[])[], timing: SupervisorTiming) {
  const everyone: Promise<void>[] = [];
  const stages = async () => {
    for (const group of groups.toReversed()) {
      const gone = Promise.all(group.map((worker) => worker.stop()));
      everyone.push(gone.then(() => {}));
      await within(gone, timing.stageMs);
    }
  };
  const all = stages().then(() => Promise.all(everyone));
  if (await within(all, timing.stopMs)) return { killed: [] };
  const left = groups.flat().filter((worker) => worker.running);
  for (const worker of left) worker.kill();
  await all;
  return { killed: left.map((worker) => worker.name) };
}

/** Waits for a promise, but no longer than so many milliseconds; false when the time was up first. */
async function within(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const timeUp = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeUp.resolve(false), milliseconds);
  try {
    return await Promise.race([promise.then(() => true), timeUp.promise]);
  } finally {
    clearTimeout(timer);
  }
}
