import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { readRunFile } from "../../../lib/runtime/run-files.ts";
import { temporaryFolder } from "../../support/folder.ts";
import type { LogLine } from "../../support/log-lines.ts";
import { watch, type Watched } from "../../support/until.ts";

type Program = {
  child: ChildProcess;
  data: string;
  lines: Watched<LogLine[]>;
  stderr: () => string;
  ready: Promise<void>;
  ended: Promise<number | null>;
};

async function run(behaviour: string, environment: Record<string, string> = {}): Promise<Program> {
  const data = await temporaryFolder();
  const child = fork(join(import.meta.dirname, "program.ts"), [behaviour], {
    env: { ...process.env, RASTRO_DATA: data, ...environment },
    execArgv: [],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = watch<LogLine[]>([]);
  let rest = "";
  let errors = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) lines.value.push(JSON.parse(part) as LogLine);
    lines.changed();
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ready = new Promise<void>((resolve) => {
    child.on("message", (message) => (message as { ready?: boolean }).ready && resolve());
  });
  // Not "close": it does not come for a child that was disconnected.
  const ended = Promise.all([once(child, "exit"), read(child.stdout), read(child.stderr)]).then(
    ([[code]]) => code as number | null,
  );
  return { child, data, lines, stderr: () => errors, ready, ended };
}

const read = (stream: Readable | null) => (stream === null ? Promise.resolve() : finished(stream));
const said = (program: Program) => program.lines.value.map((line) => line.msg);

describe("a process", () => {
  it("says when it is ready, is found by its run file, and stops in reverse order", async () => {
    const program = await run("steady");
    await program.ready;
    const file = readRunFile(program.data, "program");
    expect(file?.pid).toBe(program.child.pid);
    const answer = await fetch(`${file?.url}/readyz`);
    expect(await answer.json()).toEqual({ ready: true, name: "program", checks: { process: true }, alarms: [] });
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(0);
    expect(said(program).filter((line) => line.startsWith("closed"))).toEqual([
      "closed last, added last",
      "closed first, added first",
    ]);
    expect(readRunFile(program.data, "program")).toBeNull();
  });

  it("stops when its parent asks, and when its parent is gone", async () => {
    const asked = await run("steady");
    await asked.ready;
    asked.child.send({ stop: true });
    expect(await asked.ended).toBe(0);
    const left = await run("steady");
    await left.ready;
    left.child.disconnect();
    expect(await left.ended).toBe(0);
    expect(said(left)).toContain("closed first, added first");
  });

  it("leaves SIGINT to its parent, who knows the order to stop in", async () => {
    const program = await run("steady");
    await program.ready;
    program.child.kill("SIGINT");
    const file = readRunFile(program.data, "program");
    expect((await fetch(`${file?.url}/readyz`)).status).toBe(200);
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(0);
  });

  it("stops while it is still starting", async () => {
    const program = await run("never");
    await program.lines.until((lines) => lines.some((line) => line.msg === "starting for ever"));
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(0);
    expect(said(program)).toContain("closed first, added first");
  });

  it("ends with 78 and one sentence when a restart would not help", async () => {
    const program = await run("taken");
    expect(await program.ended).toBe(78);
    expect(program.stderr()).toBe("program: Listening on 1883 failed: stop the other program.\n");
    // The last lines before an exit may change places: pino writes them from the thread pool.
    expect(said(program).toSorted()).toEqual([
      "Listening on 1883 failed: stop the other program.",
      "closed first, added first",
      "closed last, added last",
    ]);
  });

  it("ends with 78 for a bad setting and for a folder that cannot be written", async () => {
    const bad = await run("steady", { RASTRO_MQTT_PORT: "many" });
    expect(await bad.ended).toBe(78);
    expect(bad.stderr()).toMatch(/^program: .*RASTRO_MQTT_PORT.*"many".*\n$/);
    const unusable = await run("steady", { RASTRO_DATA: "/proc/nowhere" });
    expect(await unusable.ended).toBe(78);
    expect(unusable.stderr()).toContain("/proc/nowhere");
  });

  it.each(["unreachable", "broken", "throws-later", "rejects-later"])(
    "ends with 1 when a restart may help: %s",
    async (behaviour) => {
      const program = await run(behaviour);
      expect(await program.ended).toBe(1);
      expect(program.lines.value.some((line) => line["level"] === ("fatal" as unknown))).toBe(true);
      expect(readRunFile(program.data, "program")).toBeNull();
    },
  );

  it("runs the other hooks when one fails, and ends with 1", async () => {
    const program = await run("failing-hook");
    await program.ready;
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(1);
    expect(said(program)).toContain("closed first, added first");
  });

  it("ends after four seconds when a hook hangs", async () => {
    const program = await run("hanging-hook");
    await program.ready;
    const begun = Date.now();
    program.child.kill("SIGTERM");
    expect(await program.ended).toBe(1);
    expect(Date.now() - begun).toBeLessThan(5000);
    expect(said(program)).toContain("stopping took too long; the rest is left");
  });
});
