import { describe, expect, test } from "vitest";
import type { HostFigures } from "../../../edge-agent/host/sampler.ts";
import { startSampler } from "../../../edge-agent/host/sampler.ts";
import type { HostSources } from "../../../edge-agent/host/host-sources.ts";
import { fakeTiming } from "../support/fake-timing.ts";
import { recordingLog } from "../support/recording-log.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

function sources(overrides: Partial<HostSources>): HostSources {
  let total = 0;
  return {
    cpuTimes: () => ({ idle: (total += 25) - total / 2, total }),
    memory: () => ({ totalBytes: 1000, usedBytes: 250 }),
    disks: async () => [{ mount: "/", totalBytes: 10, usedBytes: 1 }],
    traffic: async () => [],
    temperature: async () => 415,
    system: async () => "Test",
    pace: { disks: 5000, traffic: 1000, temperature: 5000 },
    close: () => undefined,
    ...overrides,
  };
}

function start(overrides: Partial<HostSources> = {}) {
  const timing = fakeTiming();
  const { log, lines } = recordingLog();
  const samples: (number | null)[] = [];
  const onSample = (figures: HostFigures) => void samples.push(figures.cpu);
  const host = sources(overrides);
  const sampler = startSampler({ sources: host, folder: "/", every: timing.every, clock: timing.clock, log, onSample });
  return { timing, lines, samples, sampler };
}

describe("the sampler", () => {
  test("samples processor and memory ten times a second from the start on", async () => {
    const { timing, samples, sampler } = start();
    timing.advance(1000);
    expect(samples).toHaveLength(11);
    expect(samples[0]).toBeNull();
    expect(sampler.figures).toMatchObject({ cpu: expect.any(Number) as number, mem: 250 });
    await settled();
    expect(sampler.figures).toMatchObject({ disks: [{ mount: "/" }], temperature: 415 });
    sampler.stop();
    expect(timing.pending()).toBe(0);
  });

  test("a figure that fails is unknown, is logged once, and stops nothing", async () => {
    let works = true;
    const { timing, lines, sampler } = start({
      memory: () => {
        throw new Error("no memory");
      },
      temperature: async () => {
        if (works) return 300;
        throw new Error("no sensor");
      },
    });
    await settled();
    expect(sampler.figures).toMatchObject({ mem: null, memory: null, temperature: 300 });
    works = false;
    for (let round = 0; round < 3; round++) {
      timing.advance(5000);
      await settled();
    }
    expect(sampler.figures.temperature).toBeNull();
    expect(sampler.figures.cpu).not.toBeNull();
    expect(lines().map((line) => line.what)).toEqual(["memory", "temperature"]);
  });

  test("a disk that hangs is asked once", async () => {
    let asked = 0;
    const { timing } = start({
      disks: () => {
        asked++;
        return new Promise(() => undefined);
      },
    });
    timing.advance(60_000);
    await settled();
    expect(asked).toBe(1);
  });
});
