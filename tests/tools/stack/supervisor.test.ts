import { afterEach, describe, expect, test } from "vitest";
import { scripts, superviseScripts } from "./children.ts";

const running: ReturnType<typeof superviseScripts>[] = [];
function supervise(...args: Parameters<typeof superviseScripts>) {
  const started = superviseScripts(...args);
  running.push(started);
  return started;
}
afterEach(async () => {
  for (const { supervisor } of running.splice(0)) {
    supervisor.kill();
    await supervisor.stop();
  }
});

const plan = (name: string, main: string) => ({ name, main });
const indexOf = (events: { name: string; what: string }[], name: string, what: string) =>
  events.findIndex((event) => event.name === name && event.what === what);

describe("starting", () => {
  test("starts a group only when every process of the one before is ready", async () => {
    const { supervisor, events } = supervise([
      [plan("broker", scripts.good)],
      [plan("audit", scripts.good), plan("production", scripts.good)],
      [plan("console", scripts.good)],
    ]);
    await supervisor.start();
    const at = (name: string, what: string) => indexOf(events, name, what);
    expect(at("broker", "ready")).toBeLessThan(at("audit", "launched"));
    expect(at("broker", "ready")).toBeLessThan(at("production", "launched"));
    expect(at("audit", "ready")).toBeLessThan(at("console", "launched"));
    expect(at("production", "ready")).toBeLessThan(at("console", "launched"));
  });

  test("gives up with the child's own sentence when a restart cannot cure it, and leaves nothing running", async () => {
    const { supervisor, living } = supervise([[plan("broker", scripts.good)], [plan("audit", scripts.incurable)]]);
    await expect(supervisor.start()).rejects.toThrow("Opening the store failed: it is locked.");
    await expect(supervisor.stop()).resolves.toEqual({ killed: [] });
    expect(living()).toEqual([]);
  });

  test("keeps the sentence of an incurable child out of the log, since the stack says it", async () => {
    const { supervisor, events } = supervise([[plan("audit", scripts.incurable)]]);
    await expect(supervisor.start()).rejects.toThrow("locked");
    expect(events.filter((event) => event.what.includes("locked"))).toEqual([]);
  });

  test("gives up on a child that does not get ready, with what it said last", async () => {
    const { supervisor, living } = supervise([[plan("audit", scripts.slow)]], { startMs: 3000 });
    await expect(supervisor.start()).rejects.toThrow(
      "Starting audit failed: not ready after 3 s; the last it said was: still opening the book",
    );
    await supervisor.stop();
    expect(living()).toEqual([]);
  });

  test("waits for a child for as long as it says that it works", async () => {
    const { supervisor, events } = supervise([[plan("audit", scripts.working)]], { startMs: 3000 });
    await supervisor.start();
    expect(indexOf(events, "audit", "ready")).toBeGreaterThan(0);
  });

  test("restarts a child that dies before it is ready, with a growing pause", async () => {
    const { supervisor, next, living } = supervise([[plan("fleet", scripts.broken)]]);
    const started = supervisor.start();
    const first = await next("stack", "restarting it in 20 ms");
    const second = await next("stack", "restarting it in 40 ms", first);
    const third = await next("stack", "restarting it in 80 ms", second);
    await next("stack", "restarting it in 80 ms", third + 1);
    await next("fleet", "stderr what a pity");
    await supervisor.stop();
    await started;
    expect(living()).toEqual([]);
  });

  test("a stop in the middle of a start ends both", async () => {
    const { supervisor, next, events, living } = supervise([
      [plan("audit", scripts.slow)],
      [plan("console", scripts.good)],
    ]);
    const started = supervisor.start();
    await next("audit", "launched");
    await supervisor.stop();
    await started;
    expect(living()).toEqual([]);
    expect(indexOf(events, "console", "launched")).toBe(-1);
  });
});

describe("running", () => {
  test("restarts a child that is killed and says so", async () => {
    const { supervisor, next, children } = supervise([[plan("production", scripts.good)]]);
    await supervisor.start();
    children.get("production")?.[0]?.kill("SIGKILL");
    await next("stack", "production ended (SIGKILL); restarting it in 20 ms.");
    await next("stack", "production is ready again.");
    expect(children.get("production")).toHaveLength(2);
  });

  test("begins with the first pause again after a healthy while", async () => {
    const { supervisor, next, children } = supervise([[plan("production", scripts.good)]], { healthyMs: 0 });
    await supervisor.start();
    let from = 0;
    for (let round = 0; round < 3; round += 1) {
      children.get("production")?.at(-1)?.kill("SIGKILL");
      from = await next("stack", "restarting it in 20 ms.", from);
      from = await next("stack", "ready again", from);
    }
    expect(children.get("production")).toHaveLength(4);
  });

  test("leaves a child down that comes back with a fault that a restart cannot cure, and the others up", async () => {
    const script = `
      process.on("SIGUSR2", () => { console.error("The disk is gone."); process.exit(78); });
      process.send({ ready: true });
      setInterval(() => {}, 1000);`;
    const { supervisor, next, children, living } = supervise([[plan("broker", scripts.good), plan("audit", script)]]);
    await supervisor.start();
    children.get("audit")?.[0]?.kill("SIGUSR2");
    await next("stack", "audit stays down, since a restart cannot cure this: The disk is gone.");
    expect(living()).toEqual(children.get("broker"));
    expect(children.get("audit")).toHaveLength(1);
  });
});

describe("stopping", () => {
  test("goes backwards, each group only when the one after it is gone", async () => {
    const { supervisor, events } = supervise([
      [plan("broker", scripts.good)],
      [plan("audit", scripts.good)],
      [plan("console", scripts.good)],
    ]);
    await supervisor.start();
    await expect(supervisor.stop()).resolves.toEqual({ killed: [] });
    const order = events.filter((event) => event.what === "asked" || event.what === "gone");
    expect(order.filter((event) => event.what === "asked").map((event) => event.name)).toEqual([
      "console",
      "audit",
      "broker",
    ]);
    expect(indexOf(events, "console", "gone")).toBeLessThan(indexOf(events, "audit", "asked"));
    expect(indexOf(events, "audit", "gone")).toBeLessThan(indexOf(events, "broker", "asked"));
  });

  test("kills what does not hear, and names it, after the others had their turn", async () => {
    const { supervisor, events, living } = supervise([[plan("broker", scripts.good)], [plan("audit", scripts.deaf)]], {
      stageMs: 100,
      stopMs: 1000,
    });
    await supervisor.start();
    await expect(supervisor.stop()).resolves.toEqual({ killed: ["audit"] });
    expect(living()).toEqual([]);
    expect(indexOf(events, "broker", "asked")).toBeGreaterThan(0);
  });

  test("a second word kills at once", async () => {
    const { supervisor, living } = supervise([[plan("audit", scripts.deaf)]], { stageMs: 60_000, stopMs: 60_000 });
    await supervisor.start();
    const stopped = supervisor.stop();
    supervisor.kill();
    await stopped;
    expect(living()).toEqual([]);
  });
});
