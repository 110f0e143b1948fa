import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { catchUpOf, millisecondTimer, startTicker } from "../../../edge-agent/status/ticker.ts";
import { fakeTiming } from "../support/fake-timing.ts";

function run(o: { lateness: () => number; catchUp?: number }) {
  const timing = fakeTiming();
  const ticks: { seq: number; now: number }[] = [];
  const ticker = startTicker({
    clock: timing.clock,
    timer: timing.wakeTimer(o.lateness),
    periodMs: 1,
    catchUp: o.catchUp ?? 4,
    tick: (seq, now) => ticks.push({ seq, now }),
  });
  return { timing, ticks, ticker };
}

describe("a ticker whose timer is always late", () => {
  test("makes a thousand ticks a second all the same, where an interval makes 912", () => {
    const { timing, ticks } = run({ lateness: () => 0.0965 });
    timing.advance(60_000);
    expect(ticks.length).toBeGreaterThanOrEqual(59_998);
    expect(ticks.length).toBeLessThanOrEqual(60_000);
    expect(ticks.map(({ seq }) => seq)).toEqual(ticks.map((_, index) => index + 1));
  });

  test("never ticks ahead of the grid, and never twice for one place in it", () => {
    const lateness = fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(lateness, fc.integer({ min: 1, max: 8 }), (delays, catchUp) => {
        let index = 0;
        const { timing, ticks } = run({ lateness: () => delays[index++ % delays.length] ?? 0, catchUp });
        timing.advance(2000);
        expect(ticks.every(({ seq, now }) => seq <= now)).toBe(true);
        expect(ticks.every(({ seq }, at) => at === 0 || seq > (ticks[at - 1]?.seq ?? 0))).toBe(true);
        const perWake = Map.groupBy(ticks, ({ now }) => now);
        expect([...perWake.values()].every((burst) => burst.length <= catchUp)).toBe(true);
      }),
    );
  });

  test("after a stalled second jumps to the newest ticks instead of sending a thousand", () => {
    const { timing, ticks } = run({ lateness: () => 0 });
    timing.advance(100);
    const before = ticks.length;
    timing.stall(1000);
    timing.advance(1);
    const burst = ticks.slice(before);
    expect(burst.filter(({ now }) => now === burst[0]?.now).map(({ seq }) => seq)).toEqual([1097, 1098, 1099, 1100]);
    timing.advance(100);
    expect(ticks.at(-1)?.seq).toBe(1201);
  });

  test("where timers come every 15 ms sends one, the newest, for each wake-up", () => {
    const { timing, ticks } = run({ lateness: () => 14.6, catchUp: catchUpOf("win32") });
    timing.advance(1000);
    expect(ticks.length).toBe(64);
    expect(ticks.every(({ seq, now }) => seq === Math.floor(now))).toBe(true);
  });

  test("is silent once it is stopped, even from within a tick", () => {
    const timing = fakeTiming();
    const seen: number[] = [];
    const ticker = startTicker({
      clock: timing.clock,
      timer: timing.wakeTimer(() => 3),
      periodMs: 1,
      catchUp: 4,
      tick: (seq) => {
        seen.push(seq);
        if (seq === 2) ticker.stop();
      },
    });
    timing.advance(100);
    expect(seen).toEqual([1, 2]);
    expect(timing.pending()).toBe(0);
  });
});

test("the real timer wakes again and again until it is cancelled", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let woken = 0;
  const timer = millisecondTimer(() => {
    woken++;
    if (woken < 5) timer.again();
    else {
      timer.cancel();
      resolve();
    }
  });
  await promise;
  expect(woken).toBe(5);
});
