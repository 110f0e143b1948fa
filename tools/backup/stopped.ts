import { RastroError } from "../../lib/contracts/errors.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { Store } from "../../lib/storage/store/store.ts";
import type { LocalPlace } from "./places.ts";

/** How long a process on this computer may take to say that it is there, ms. */
const ANSWER_MS = 1000;

/**
 * Does something while the stack does not run and cannot be started, and the process of a store does not run either.
 *
 * @throws RastroError `store_locked` when one of them does.
 */
export async function whileStopped<T>(place: LocalPlace, work: () => Promise<T>): Promise<T> {
  const lock = await lockStack(place);
  try {
    if (await isRunning(place)) throw stillRuns(place, `its process ${place.process} runs`);
    return await work();
  } finally {
    await lock.close();
  }
}

/** The lock that the stack holds as long as it runs. */
async function lockStack(place: LocalPlace): Promise<Store> {
  try {
    return await Store.openFolder(place.folders.stackLock);
  } catch (error) {
    if (error instanceof RastroError && error.code === "store_locked")
      throw stillRuns(place, "Rastro runs with this data folder");
    throw error;
  }
}

/** A process that was killed leaves its run file behind, so it is asked. */
async function isRunning({ data, process }: LocalPlace): Promise<boolean> {
  const url = readRunFile(data, process)?.url;
  if (url === undefined) return false;
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(ANSWER_MS) });
    return ((await answer.json()) as { name?: unknown }).name === process;
  } catch {
    return false;
  }
}

function stillRuns({ name, data }: LocalPlace, why: string): RastroError {
  const message = `Restoring ${name} in ${data} failed: ${why}. Stop it first, and start it again afterwards.`;
  return new RastroError({ code: "store_locked", message, given: data });
}
