import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type AlarmState, watchAlarms } from "../../../lib/runtime/alarms.ts";
import { createMetrics } from "../../../lib/runtime/metrics.ts";
import { SILENT } from "../../support/silent.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One rule that is wrong while the test says so, looked at once a second. */
function watched(look?: () => string | null) {
  const told: [string, AlarmState | null][] = [];
  const state = { wrong: null as string | null };
  const metrics = createMetrics("test");
  const alarms = watchAlarms({
    rules: [{ name: "disk-space", raiseAfterMs: 3000, clearAfterMs: 5000, look: look ?? (() => state.wrong) }],
    tell: (name, alarm) => told.push([name, alarm]),
    metrics,
    log: SILENT,
    now: Date.now,
    everyMs: 1000,
  });
  const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);
  return { told, state, alarms, metrics, pass };
}

it("is raised once it has lasted, told again when it says something else, and cleared once it is over for long enough", async () => {
  const { told, state, alarms, metrics, pass } = watched();
  await pass(1);
  expect(told).toEqual([["disk-space", null]]);
  state.wrong = "1 MiB left";
  await pass(3);
  expect(alarms.raised()).toEqual([]);
  await pass(1);
  const since = new Date().toISOString();
  expect(alarms.raised()).toEqual([{ v: 1, alarm: "disk-space", since, message: "1 MiB left" }]);
  expect(await metrics.text()).toContain('rastro_alarm{alarm="disk-space",process="test"} 1');
  state.wrong = "0 MiB left";
  await pass(2);
  expect(told.map(([, alarm]) => alarm?.message)).toEqual([undefined, "1 MiB left", "0 MiB left"]);
  expect(alarms.raised()[0]?.since).toBe(since);
  state.wrong = null;
  await pass(5);
  expect(alarms.raised()).toHaveLength(1);
  await pass(1);
  expect(alarms.raised()).toEqual([]);
  expect(told.at(-1)).toEqual(["disk-space", null]);
  alarms.stop();
});

it("what comes and goes raises nothing, and does not clear what is raised", async () => {
  const { state, alarms, pass } = watched();
  for (let times = 0; times < 5; times += 1) {
    state.wrong = "wrong";
    await pass(2);
    state.wrong = null;
    await pass(1);
  }
  expect(alarms.raised()).toEqual([]);
  state.wrong = "wrong";
  await pass(5);
  for (let times = 0; times < 5; times += 1) {
    state.wrong = null;
    await pass(3);
    state.wrong = "wrong";
    await pass(1);
  }
  expect(alarms.raised()).toHaveLength(1);
  alarms.stop();
});

it("a look that fails is an alarm of its own", async () => {
  const { alarms, pass } = watched(() => {
    throw new Error("no such disk");
  });
  await pass(5);
  expect(alarms.raised()[0]?.message).toBe("looking after disk-space failed: no such disk");
  alarms.stop();
});
