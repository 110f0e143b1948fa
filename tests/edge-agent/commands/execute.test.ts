import { describe, expect, it } from "vitest";
import { createExecute } from "../../../edge-agent/commands/execute.ts";
import type { Execution, Executors } from "../../../edge-agent/commands/executors.ts";
import { createExecutors } from "../../../edge-agent/commands/executors.ts";
import { SystemInfo } from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { SILENT } from "../../support/silent.ts";
import { fakeTiming } from "../support/fake-timing.ts";
import { hubTimeOf, issued, NOW } from "./parts.ts";

const real = createExecutors({ hubTime: hubTimeOf(-7), now: () => NOW });

function setUp(ping: (execution: Execution) => Promise<unknown> = real.ping) {
  const timing = fakeTiming();
  const executors = { ...real, ping } as Executors;
  return { timing, execute: createExecute({ executors, after: timing.after, log: SILENT }) };
}

describe("an execution", () => {
  it("of ping answers the own time and the hub's less it", async () => {
    const { execute, timing } = setUp();
    expect(await execute(issued(), "ping", () => undefined)).toEqual({
      status: "succeeded",
      data: { time: "2026-11-24T12:00:00.000Z", offsetMs: -7 },
      error: null,
    });
    expect(timing.pending()).toBe(0);
  });

  it("that takes too long fails, and is told to end", async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const { execute, timing } = setUp(({ signal }) => {
      begun.resolve(signal);
      return new Promise(() => undefined);
    });
    const ended = execute(issued({ timeoutMs: 1500 }), "ping", () => undefined);
    const signal = await begun.promise;
    timing.advance(1499);
    expect(signal.aborted).toBe(false);
    timing.advance(1);
    expect(await ended).toMatchObject({ status: "failed", data: null, error: { code: "timeout" } });
    expect(signal.aborted).toBe(true);
  });

  it.each([
    ["a fault of ours", new Error("secret path"), "internal"],
    ["a fault with a code", new RastroError({ code: "busy", message: "x".repeat(2000) }), "busy"],
  ])("%s is a failure that fits a result", async (_what, thrown, code) => {
    const { execute } = setUp(() => Promise.reject(thrown));
    const { status, error } = await execute(issued(), "ping", () => undefined);
    expect({ status, code: error?.code }).toEqual({ status: "failed", code });
    expect(error?.message.length).toBeLessThanOrEqual(512);
    expect(error?.message).not.toContain("secret");
  });

  it("whose result is too large fails", async () => {
    const { execute } = setUp(async () => "x".repeat(70_000));
    expect(await execute(issued(), "ping", () => undefined)).toMatchObject({
      status: "failed",
      data: null,
      error: { code: "too_large" },
    });
  });
});

describe("system-info on this very host", () => {
  it("tells real figures within the contract, part by part", async () => {
    const steps: string[] = [];
    const info = await real["system-info"]({
      signal: new AbortController().signal,
      onProgress: (done, of) => void steps.push(`${done}/${of}`),
    });
    expect(SystemInfo.parse(info)).toEqual(info);
    expect(info.memory?.totalMiB).toBeGreaterThan(100);
    expect(info.os?.platform).toBe(process.platform);
    expect(canonicalBytes(info).length).toBeLessThan(65_536);
    expect(steps).toEqual(["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]);
  });

  it("ends when it is told to", async () => {
    const giveUp = new AbortController();
    const asked = real["system-info"]({ signal: giveUp.signal, onProgress: () => giveUp.abort() });
    await expect(asked).rejects.toThrow("it took too long");
  });
});
