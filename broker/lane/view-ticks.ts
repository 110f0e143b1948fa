/** Calls back at given rates; those of one rate together, so that what they send can be the same bytes. */
export interface ViewTicks {
  /** @param hz - calls a second. @returns ends it. */
  every(hz: number, call: () => void): () => void;
  stop(): void;
}

export function createViewTicks(): ViewTicks {
  const calls = new Map<number, Set<() => void>>();
  const timers = new Map<number, NodeJS.Timeout>();
  const end = (hz: number) => {
    clearInterval(timers.get(hz));
    timers.delete(hz);
    calls.delete(hz);
  };
  return {
    every(hz, call) {
      const atThisRate = calls.get(hz) ?? new Set();
      if (atThisRate.size === 0) {
        calls.set(hz, atThisRate);
        const tick = () => {
          for (const due of atThisRate) due();
        };
        timers.set(hz, setInterval(tick, 1000 / hz));
      }
      atThisRate.add(call);
      return () => {
        atThisRate.delete(call);
        if (atThisRate.size === 0) end(hz);
      };
    },
    stop() {
      for (const hz of timers.keys()) end(hz);
    },
  };
}
