import type { EventEmitter } from "node:events";

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Ctrl-C reaches the stack twice under `npm start`: from the terminal, and from npm, which passes on what it got.
 * What follows the first so soon is its echo and no second wish.
 */
const ECHO_MS = 500;

/**
 * Calls `stop` at the first signal to stop and `kill` at the next one that is no echo.
 *
 * @returns a function that stops listening.
 */
export function onStopSignals(o: {
  source: EventEmitter;
  now: () => number;
  stop: () => void;
  kill: () => void;
}): () => void {
  let first: number | null = null;
  const hear = () => {
    if (first === null) {
      first = o.now();
      o.stop();
    } else if (o.now() - first > ECHO_MS) {
      o.kill();
    }
  };
  for (const signal of STOP_SIGNALS) o.source.on(signal, hear);
  return () => {
    for (const signal of STOP_SIGNALS) o.source.off(signal, hear);
  };
}
