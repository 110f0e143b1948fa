import type { CommandName, ResultOf } from "../../lib/contracts/commands.ts";
import type { HubTime } from "../link/hub-time.ts";
import { readSystemInfo } from "./system-info.ts";

/** What an execution is handed: when to give up, and whom to tell how far it is. */
export type Execution = { signal: AbortSignal; onProgress: (done: number, of: number) => void };

/** One function for each command that this machine carries out; the names are its allow-list. */
export type Executors = { [N in CommandName]: (execution: Execution) => Promise<ResultOf<N>> };

export function createExecutors(o: { hubTime: Pick<HubTime, "offsetMs">; now: () => number }): Executors {
  return {
    ping: async () => ({ time: new Date(o.now()).toISOString(), offsetMs: o.hubTime.offsetMs() }),
    "system-info": readSystemInfo,
  };
}
