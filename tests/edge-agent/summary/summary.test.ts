import { expect, test } from "vitest";
import { clockSource } from "../../../edge-agent/clock-state.ts";
import { createLoadMeter, ownProcess } from "../../../edge-agent/summary/load-meter.ts";
import { createOutboxReporter } from "../../../edge-agent/summary/outbox-reporter.ts";
import { summaryOf } from "../../../edge-agent/summary/summary.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { Summary } from "../../../lib/contracts/machine.ts";

const parts = {
  identity: { app: "edge-agent@0.1.0", host: { os: "Debian", arch: "x64", cpus: 4, node: "v24.21.0" } },
  t: 1_795_000_000_000,
  uptimeS: { agent: 5, host: 500 },
  rate: { rateMilliHz: 999_990, gapUs: { p50: 1080, p99: 1200, max: 1900 } },
  skipped: 3,
  outboxes: [
    { book: "production", waiting: 2, sealed: 1, oldest: "2026-11-24T05:44:05.000Z", bytes: 900, lastError: null },
  ],
  clock: { source: "ntp" as const, offsetMs: -3 },
  load: { agentCpu: 47, agentRssMiB: 80 },
  witness: [{ origin: "plant-1/audit", size: 9, at: "2026-11-24T05:44:05.000Z", alarm: null }],
};
const unknown = { cpu: null, mem: null, disk: null, memory: null, disks: [], network: [], temperature: null };

test("fits the contract, in mebibytes", () => {
  const figures = {
    ...unknown,
    memory: { totalBytes: 8 * 2 ** 30, usedBytes: 2 ** 30 },
    disks: [{ mount: "/", totalBytes: 2 ** 30, usedBytes: 0 }],
  };
  const summary = Summary.parse(summaryOf({ ...parts, figures }));
  expect(summary.memory).toEqual({ totalMiB: 8192, usedMiB: 1024 });
  expect(summary.disks).toEqual([{ mount: "/", totalMiB: 1024, usedMiB: 0 }]);
  expect(summary.status).toEqual({ ...parts.rate, skipped: 3 });
  expect(summary.witness).toEqual(parts.witness);
});

test("what the host does not tell is null, never 0", () => {
  const summary = Summary.parse(summaryOf({ ...parts, figures: unknown }));
  expect(summary).toMatchObject({ memory: { totalMiB: null, usedMiB: null }, temperature: null, disks: [] });
});

test("load is the share of one core since the last time, unknown at first", () => {
  let cpuUs = 0;
  const meter = createLoadMeter({ cpuUs: () => cpuUs, rssBytes: () => 80 * 2 ** 20 });
  expect(meter(0)).toEqual({ agentCpu: null, agentRssMiB: 80 });
  cpuUs = 47_000;
  expect(meter(1000)).toEqual({ agentCpu: 47, agentRssMiB: 80 });
  expect(meter(1000).agentCpu).toBeNull();
});

test("this process has used something", () => {
  expect(ownProcess.cpuUs()).toBeGreaterThan(0);
  expect(ownProcess.rssBytes()).toBeGreaterThan(2 ** 20);
});

test("the clock is in step only where a time service says so", () => {
  const host = (...paths: string[]) => clockSource((path) => paths.includes(path));
  expect(host("/run/systemd/timesync", "/run/systemd/timesync/synchronized")).toBe("ntp");
  expect(host("/run/systemd/timesync")).toBe("none");
  expect(host()).toBe("unknown");
});

test("an outbox that cannot be read is told as it was last known, with the reason", () => {
  let read = () => ({ waiting: 2, sealed: 1, oldest: null, bytes: 900 });
  const report = createOutboxReporter({
    outbox: { book: "audit", depth: () => read() },
    lastError: () => "no receipt came",
  });
  expect(report()).toMatchObject({ waiting: 2, lastError: "no receipt came" });
  read = () => {
    throw new RastroError({ code: "store_unusable", message: "the disk is full" });
  };
  expect(report()).toMatchObject({ book: "audit", waiting: 2, sealed: 1, lastError: "the disk is full" });
  read = () => ({ waiting: 0, sealed: 3, oldest: null, bytes: 900 });
  expect(report()).toMatchObject({ waiting: 0, lastError: null });
});
