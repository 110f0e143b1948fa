/** Runs `run` each `ms` until the returned function is called. Injected, so that tests say when time passes. */
export type Every = (ms: number, run: () => void) => () => void;

/** By the process's own timers, which do not keep it alive. */
export const everyInterval: Every = (ms, run) => {
  const interval = setInterval(run, ms).unref();
  return () => clearInterval(interval);
};
