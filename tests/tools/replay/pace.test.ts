import { describe, expect, it } from "vitest";
import { paced } from "../../../tools/replay/pace.ts";

const item = (second: number) => ({ at: new Date(second * 1000).toISOString() });

/** What is sent when, by a clock that only waiting moves. */
async function timesOf(seconds: number[], speed: number | null, batch = 10): Promise<[number, number[]][]> {
  let clock = 5_000_000;
  const begun = clock;
  let longest = 0;
  const wait = async (ms: number) => {
    longest = Math.max(longest, ms);
    clock += ms;
  };
  const sent: [number, number[]][] = [];
  for await (const items of paced({ items: seconds.map(item), speed, batch, now: () => clock, wait })) {
    sent.push([clock - begun, items.map(({ at }) => Date.parse(at) / 1000)]);
  }
  expect(longest).toBeLessThanOrEqual(60_000);
  return sent;
}

describe("the pace of a replay", () => {
  it("without a speed: everything at once, in batches", async () => {
    expect(await timesOf([0, 100, 200, 300, 400], null, 2)).toEqual([
      [0, [0, 100]],
      [0, [200, 300]],
      [0, [400]],
    ]);
  });

  it("with a speed: the gaps between the times, so many times shorter; equal times together", async () => {
    expect(await timesOf([1000, 1060, 1060, 1120], 60)).toEqual([
      [0, [1000]],
      [1000, [1060, 1060]],
      [2000, [1120]],
    ]);
    expect(await timesOf([0, 1], 0.5)).toEqual([
      [0, [0]],
      [2000, [1]],
    ]);
  });

  it("waits for months, which is longer than a timer can", async () => {
    expect(await timesOf([0, 7_776_000], 1)).toEqual([
      [0, [0]],
      [7_776_000_000, [7_776_000]],
    ]);
  });

  it("of nothing is over at once", async () => {
    expect(await timesOf([], 60)).toEqual([]);
  });
});
