import type { Every } from "../../../edge-agent/every.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { WakeTimer } from "../../../edge-agent/status/ticker.ts";

/** A clock that only tests move, with the timers that hang on it. */
export function fakeTiming() {
  let now = 0;
  const due = new Map<object, { at: number; run: () => void }>();
  const plan = (key: object, ms: number, run: () => void) => due.set(key, { at: now + ms, run });

  const after: After = (ms, run) => {
    const key = {};
    plan(key, ms, run);
    return () => void due.delete(key);
  };
  const every: Every = (ms, run) => {
    const key = {};
    const again = () => {
      plan(key, ms, again);
      run();
    };
    plan(key, ms, again);
    return () => void due.delete(key);
  };
  /** A wake-up comes `lateness()` ms after the millisecond that was asked for, as in real life. */
  const wakeTimer =
    (lateness: () => number): WakeTimer =>
    (wake) => {
      const key = {};
      const arm = () => plan(key, 1 + lateness(), wake);
      arm();
      return { again: arm, cancel: () => void due.delete(key) };
    };
  const advance = (ms: number) => {
    const end = now + ms;
    for (;;) {
      const [next] = [...due].filter(([, one]) => one.at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (next === undefined) break;
      due.delete(next[0]);
      now = Math.max(now, next[1].at);
      next[1].run();
    }
    now = end;
  };
  /** Time passes and nothing runs, as in a stall. */
  const stall = (ms: number) => void (now += ms);
  return { clock: () => now, after, every, wakeTimer, advance, stall, pending: () => due.size };
}
