import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { BlockCheck } from "../../ledger/block-check.ts";
import { SignerKeys } from "../../ledger/signature-check.ts";
import type { Database, KeyRange } from "../level/database.ts";
import type { IdSums } from "./id-sums.ts";
import {
  BLOCK_RECORDS,
  type BlockOutcome,
  type BlockSource,
  checkBlock,
  closeRuns,
  openRuns,
  sumIds,
} from "./verify-block.ts";

/** What a thread is started with. */
export type WorkerStart = { folder: string; seeds: readonly [number, number] };

export type ToWorker =
  | { is: "block"; first: number; count: number }
  | { is: "ids"; gte: Uint8Array; lt: Uint8Array; size: number }
  | { is: "keys"; keys: [string, Uint8Array | null][] }
  | { is: "end" };

export type FromWorker =
  | { is: "block"; outcome: BlockOutcome | null }
  | { is: "ids"; sums: IdSums["sums"] | null }
  | { is: "names"; names: string[] };

/** Those who check blocks: each one block at a time. Null for what is not sound or cannot be read. */
export interface BlockCheckers {
  readonly width: number;
  /** Blocks that may be asked for before the first of them is done. */
  readonly ahead: number;
  block(first: number, count: number): Promise<BlockOutcome | null>;
  ids(range: KeyRange, size: number): Promise<IdSums["sums"] | null>;
  /** What has not ended yet rejects. */
  end(): Promise<void>;
}

type KeyOf = (name: string) => Uint8Array | null;

/** Blocks that each thread may be ahead of the oldest that is not done. */
const AHEAD_EACH = 4;
/** A thread makes garbage by the gigabyte, all of it short-lived: with more room V8 takes more, and is no quicker. */
const THREAD_MEMORY = { maxYoungGenerationSizeMb: 16 };
/** Rows that are looked at in one go on the thread that has other work to do. */
const OWN_BATCH = 64;

/** One checker on this thread, which lets other work in after every few rows. */
export function checkHere(o: {
  database: Pick<Database, "iterator">;
  keyOf: KeyOf;
  seeds: readonly [number, number];
}): BlockCheckers {
  const source: BlockSource = {
    database: o.database,
    runs: openRuns(o.database),
    check: new BlockCheck(BLOCK_RECORDS),
    keys: new SignerKeys(o.keyOf),
    fetchKeys: async () => undefined,
    seeds: o.seeds,
    batch: OWN_BATCH,
    letOthersIn: nextTurn,
  };
  return {
    width: 1,
    // One after the other: they share one memory.
    ahead: 1,
    block: (first, count) => checkBlock(source, first, count),
    ids: (range, size) => sumIds(source, range, size).catch(() => null),
    end: () => closeRuns(source.runs),
  };
}

/** As many checkers as there are threads, each on a thread of its own. */
export function checkOnThreads(o: WorkerStart & { keyOf: KeyOf; threads: number }): BlockCheckers {
  const crew = Array.from({ length: o.threads }, () => startThread(o));
  const idle = [...crew];
  const waiting: ((thread: Thread) => void)[] = [];

  async function give(task: ToWorker): Promise<FromWorker> {
    const thread = idle.pop() ?? (await new Promise<Thread>((resolve) => waiting.push(resolve)));
    try {
      return await thread.ask(task);
    } finally {
      const next = waiting.shift();
      if (next === undefined) idle.push(thread);
      else next(thread);
    }
  }

  return {
    width: o.threads,
    ahead: o.threads * AHEAD_EACH,
    async block(first, count) {
      const answer = await give({ is: "block", first, count });
      return answer.is === "block" ? answer.outcome : null;
    },
    async ids({ gte, lt }, size) {
      const answer = await give({ is: "ids", gte, lt, size });
      return answer.is === "ids" ? answer.sums : null;
    },
    async end() {
      await Promise.all(crew.map((thread) => thread.end()));
    },
  };
}

type Thread = { ask(task: ToWorker): Promise<FromWorker>; end(): Promise<void> };

function startThread({ folder, seeds, keyOf }: WorkerStart & { keyOf: KeyOf }): Thread {
  const workerData: WorkerStart = { folder, seeds };
  const worker = new Worker(new URL("verify-worker.ts", import.meta.url), {
    workerData,
    resourceLimits: THREAD_MEMORY,
  });
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window would have
  const tell = (message: ToWorker) => worker.postMessage(message);
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  let asked: PromiseWithResolvers<FromWorker> | null = null;
  let failure: Error | null = null;

  const fail = (error: Error) => {
    failure ??= error;
    asked?.reject(failure);
  };
  worker.on("error", fail);
  worker.on("exit", () => fail(new Error("a thread of the verification ended")));
  worker.on("message", (message: FromWorker) => {
    if (message.is !== "names") return asked?.resolve(message);
    const keys: [string, Uint8Array | null][] = message.names.map((name) => [name, keyOf(name)]);
    tell({ is: "keys", keys });
  });

  return {
    ask(task) {
      if (failure !== null) return Promise.reject(failure);
      asked = Promise.withResolvers<FromWorker>();
      tell(task);
      return asked.promise;
    },
    async end() {
      fail(new Error("the verification was ended"));
      tell({ is: "end" });
      await exited;
    },
  };
}
