import { Worker } from "node:worker_threads";
import type { SystemInfo } from "../../lib/contracts/commands.ts";
import type { Execution } from "./executors.ts";

/** What the worker says: so many parts are done, or the whole. */
export type WorkerWord = { done: number; of: number } | { info: SystemInfo };

/** Enough for the question; a worker that wants more ends, and the agent goes on. */
const WORKER_MEMORY_MIB = 128;

/**
 * Asks systeminformation on a thread of its own, which ends with the answer: each question costs tens of milliseconds,
 * and the status goes out each millisecond.
 *
 * @throws what the worker failed with; `signal` ends it at once.
 */
export async function readSystemInfo({ signal, onProgress }: Execution): Promise<SystemInfo> {
  const worker = new Worker(new URL("system-info-worker.ts", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: WORKER_MEMORY_MIB },
    env: withoutOwnSettings(process.env),
  });
  const { promise, resolve, reject } = Promise.withResolvers<SystemInfo>();
  worker.on("message", (word: WorkerWord) => {
    if ("info" in word) resolve(word.info);
    else onProgress(word.done, word.of);
  });
  worker.once("error", reject);
  worker.once("exit", () => reject(new Error("the worker ended without an answer")));
  signal.addEventListener("abort", () => reject(new Error("it took too long")), { once: true });
  try {
    return await promise;
  } finally {
    await worker.terminate();
  }
}

/** The programs that systeminformation starts have no business with the agent's own settings. */
function withoutOwnSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("RASTRO_")));
}
