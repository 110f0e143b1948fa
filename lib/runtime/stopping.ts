import type { Logger } from "./log.ts";

export type Stopping = {
  readonly begun: boolean;
  add(hook: () => Promise<void> | void): void;
  /**
   * Runs the hooks one after the other, the last added first; a hook that fails does not keep the others from running.
   * A second call waits for the first.
   *
   * @returns whether all went well within the limit. What still hangs after it is left.
   */
  run(): Promise<boolean>;
};

/** What has to be done before a process may end. */
export function createStopping(o: { log: Logger; limitMs: number }): Stopping {
  const hooks: (() => Promise<void> | void)[] = [];
  let running: Promise<boolean> | null = null;

  async function runAll(): Promise<boolean> {
    let clean = true;
    for (let hook = hooks.pop(); hook !== undefined; hook = hooks.pop()) {
      try {
        await hook();
      } catch (error) {
        clean = false;
        o.log.error({ err: error }, "a stop hook failed");
      }
    }
    return clean;
  }

  async function runWithin(limitMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        o.log.error({ limitMs, hooksLeft: hooks.length }, "stopping took too long; the rest is left");
        resolve(false);
      }, limitMs);
    });
    const clean = await Promise.race([runAll(), late]);
    clearTimeout(timer);
    return clean;
  }

  return {
    get begun() {
      return running !== null;
    },
    add: (hook) => void hooks.push(hook),
    run: () => (running ??= runWithin(o.limitMs)),
  };
}
