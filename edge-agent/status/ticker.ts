/** Runs `wake` about every millisecond: after `arm()` once, after each `again()` once more. */
export type WakeTimer = (wake: () => void) => { again(): void; cancel(): void };

/** One `setTimeout` that is refreshed: a third cheaper than a new one for each wake-up, and a timer that never bunches. */
export const millisecondTimer: WakeTimer = (wake) => {
  const timeout = setTimeout(wake, 1);
  return { again: () => void timeout.refresh(), cancel: () => clearTimeout(timeout) };
};

export type TickerOptions = {
  /** Monotonic clock in ms with decimals. */
  clock: () => number;
  timer: WakeTimer;
  periodMs: number;
  /** Most ticks that one wake-up makes up for. What is older is passed over, not sent late. */
  catchUp: number;
  /** Called with the tick's number, counted from 1 at the start, and the clock's value at the wake-up. */
  tick: (seq: number, now: number) => void;
};

export type Ticker = { stop(): void };

/**
 * Calls `tick` at a fixed grid of `periodMs` from the start on, so that lateness never adds up: a timer of 1 ms fires
 * after 1.09 ms, and a plain interval would make 912 ticks a second.
 *
 * A wake-up that comes late makes up for at most `catchUp` ticks. After a longer stall the number jumps forward to
 * the newest ticks, so a stalled second costs a gap in the numbers and never a burst of a thousand.
 */
export function startTicker({ clock, timer, periodMs, catchUp, tick }: TickerOptions): Ticker {
  const anchor = clock();
  let seq = 0;
  let stopped = false;
  const wake = () => {
    const now = clock();
    const due = Math.floor((now - anchor) / periodMs);
    if (due - seq > catchUp) seq = due - catchUp;
    while (seq < due) {
      tick(++seq, now);
      if (stopped) return;
    }
    armed.again();
  };
  const armed = timer(wake);
  return {
    stop: () => {
      stopped = true;
      armed.cancel();
    },
  };
}

/**
 * Ticks that one wake-up makes up for on a platform. Ten: a host that is busy takes the processor away for some
 * milliseconds now and then, and the rate stays true over that. Windows wakes every 15 ms (decision 34): there a burst would
 * repeat one figure, so each wake-up sends the newest and the summary reports the true rate.
 */
export function catchUpOf(platform: NodeJS.Platform): number {
  return platform === "win32" ? 1 : 10;
}
