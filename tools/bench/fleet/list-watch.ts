import type { MachineRow } from "../../../lib/contracts/machine.ts";

/** How often the list of machines is asked for, ms. */
const ASK_EVERY_MS = 50;

export type ListWatch = {
  /** From now on the list should call these machines offline, or online. */
  expect(machines: readonly string[], online: boolean): void;
  /** Resolves once the list is as expected. @returns for each machine how long it took, ms. @throws Error after `ms`. */
  untilRight(ms: number): Promise<number[]>;
  /** Answers in which a machine of which nothing was to be expected anew stood wrong. */
  wrong(): string[];
  stop(): Promise<void>;
};

/** Asks for the list again and again, and times from a change to the first answer that has it right. */
export function watchList(ask: () => Promise<MachineRow[]>): ListWatch {
  const expected = new Map<string, boolean>();
  const open = new Map<string, number>();
  const wrong: string[] = [];
  const took: number[] = [];
  const stopping = new AbortController();

  function compare(rows: MachineRow[], askedAt: number): void {
    for (const { id, online, why } of rows) {
      const since = open.get(id);
      const right = online === expected.get(id);
      if (since === undefined) {
        if (!right && expected.has(id)) wrong.push(`${id} ${online ? "online" : "offline"} (${why})`);
      } else if (right && askedAt >= since) {
        open.delete(id);
        took.push(performance.now() - since);
      }
    }
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      const askedAt = performance.now();
      compare(await ask(), askedAt);
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  })();

  return {
    expect(machines, online) {
      for (const machine of machines) {
        expected.set(machine, online);
        open.set(machine, performance.now());
      }
    },
    async untilRight(ms) {
      const begun = performance.now();
      while (open.size > 0) {
        if (performance.now() - begun > ms)
          throw new Error(`after ${ms} ms the list is wrong of ${[...open.keys()].join(", ")}`);
        await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
      }
      return took.splice(0);
    },
    wrong: () => wrong,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
