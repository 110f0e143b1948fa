import { expect, test } from "vitest";
import { createRateMeter, percentile } from "../../../edge-agent/status/rate-meter.ts";

test("rate is over the measured span, gaps are in µs", () => {
  const meter = createRateMeter(0);
  for (let tick = 1; tick <= 100; tick++) meter.note(tick === 100 ? 104.5 : tick);
  expect(meter.take(200)).toEqual({ rateMilliHz: 500_000, gapUs: { p50: 1000, p99: 5500, max: 5500 } });
});

test("a second without a status reads as none, and the gap over it is seen in the next", () => {
  const meter = createRateMeter(0);
  meter.note(1);
  meter.take(1000);
  expect(meter.take(2000)).toEqual({ rateMilliHz: 0, gapUs: { p50: 0, p99: 0, max: 0 } });
  meter.note(2500);
  expect(meter.take(3000)).toEqual({ rateMilliHz: 1000, gapUs: { p50: 2_499_000, p99: 2_499_000, max: 2_499_000 } });
});

test("holds more than it was made for without growing", () => {
  const meter = createRateMeter(0);
  for (let tick = 1; tick <= 10_000; tick++) meter.note(tick);
  expect(meter.take(10_000)).toEqual({ rateMilliHz: 1_000_000, gapUs: { p50: 1000, p99: 1000, max: 1000 } });
});

test("percentiles by nearest rank", () => {
  expect([0.5, 0.99, 1].map((share) => percentile([1, 2, 3, 4], share))).toEqual([2, 4, 4]);
  expect(percentile([], 0.5)).toBe(0);
});
