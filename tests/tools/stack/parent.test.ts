import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { onNpmGone } from "../../../tools/stack/parent.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watch(env: NodeJS.ProcessEnv) {
  const state = { parent: 100, stops: 0 };
  const end = onNpmGone({ env, parent: () => state.parent, stop: () => (state.stops += 1) });
  return { state, end };
}

test("stops once when npm is gone", () => {
  const { state } = watch({ npm_lifecycle_event: "start" });
  vi.advanceTimersByTime(5000);
  expect(state.stops).toBe(0);
  state.parent = 1;
  vi.advanceTimersByTime(5000);
  expect(state.stops).toBe(1);
});

test("whoever starts the stack without npm may go away", () => {
  const { state } = watch({});
  state.parent = 1;
  vi.advanceTimersByTime(5000);
  expect(state.stops).toBe(0);
});

test("nothing is watched after the end", () => {
  const { state, end } = watch({ npm_lifecycle_event: "start" });
  end();
  state.parent = 1;
  vi.advanceTimersByTime(5000);
  expect(state.stops).toBe(0);
});
