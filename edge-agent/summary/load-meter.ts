import type { Load } from "./summary.ts";

export type LoadReader = { /** µs of processor time since the start. */ cpuUs: () => number; rssBytes: () => number };

export const ownProcess: LoadReader = {
  cpuUs: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  rssBytes: () => process.memoryUsage.rss(),
};

/** What the agent itself used since the last call. `now`: monotonic ms. The first call knows no share yet. */
export function createLoadMeter({ cpuUs, rssBytes }: LoadReader): (now: number) => Load {
  let before: { cpu: number; now: number } | null = null;
  return (now) => {
    const cpu = cpuUs();
    const span = before === null ? 0 : now - before.now;
    // µs of work per ms of time are thousandths of a core, which is what tenths of a percent are.
    const agentCpu = before === null || span <= 0 ? null : Math.max(0, Math.round((cpu - before.cpu) / span));
    before = { cpu, now };
    return { agentCpu, agentRssMiB: Math.round(rssBytes() / 1_048_576) };
  };
}
