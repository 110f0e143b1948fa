import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import type { Output } from "../../../tools/stack/output.ts";
import type { Plan } from "../../../tools/stack/plan.ts";
import {
  createSupervisor,
  type Supervisor,
  SUPERVISOR_TIMING,
  type SupervisorTiming,
} from "../../../tools/stack/supervisor.ts";

/** Source text of tiny real child processes, as the value of `plan.main`. */
export const scripts = {
  /** Ready at once, ends cleanly when asked, and says both. */
  good: `
    process.on("SIGTERM", () => { console.log("asked"); process.exit(0); });
    console.log("up"); process.send({ ready: true }); setInterval(() => {}, 1000);`,
  /** Ready at once, and does not hear SIGTERM. */
  deaf: `process.on("SIGTERM", () => {}); process.send({ ready: true }); setInterval(() => {}, 1000);`,
  /** Never ready, but alive. */
  slow: `console.error("still opening the book"); setInterval(() => {}, 1000);`,
  /** Takes 4.5 s to be ready, and says that it works meanwhile. */
  working: `
    const working = setInterval(() => process.send({ works: true }), 300);
    setTimeout(() => { clearInterval(working); process.send({ ready: true }); }, 4500);
    setInterval(() => {}, 1000);`,
  incurable: `console.error("Opening the store failed: it is locked."); process.exit(78);`,
  /** Dies at once, each time. */
  broken: `console.error("what a pity"); process.exit(3);`,
};

export type Event = { name: string; what: string };

/** A supervisor over real children with everything that it says recorded; `next` waits for a certain line. */
export function superviseScripts(groups: Plan[][], timing: Partial<SupervisorTiming> = {}) {
  const events: Event[] = [];
  const bus = new EventEmitter();
  const children = new Map<string, ChildProcess[]>();
  const add = (name: string, what: string) => {
    events.push({ name, what });
    bus.emit("event");
  };
  const output: Output = {
    log: add,
    error: (name, line) => add(name, `stderr ${line}`),
    note: (_level, message) => add("stack", message),
    say: (text) => add("stack", text),
  };
  const launch = (plan: Plan) => {
    const child = spawn(process.execPath, ["-e", plan.main], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    children.set(plan.name, [...(children.get(plan.name) ?? []), child]);
    add(plan.name, "launched");
    child.on("message", (message) => {
      if ((message as { ready?: boolean }).ready === true) add(plan.name, "ready");
    });
    child.on("exit", () => add(plan.name, "gone"));
    return child;
  };
  const supervisor: Supervisor = createSupervisor({
    groups,
    launch,
    output,
    now: Date.now,
    timing: { ...SUPERVISOR_TIMING, firstPauseMs: 20, longestPauseMs: 80, ...timing },
  });
  const next = async (name: string, text: string, from = 0): Promise<number> => {
    for (;;) {
      const index = events.findIndex((event, at) => at >= from && event.name === name && event.what.includes(text));
      if (index >= 0) return index;
      await once(bus, "event");
    }
  };
  const living = () =>
    [...children.values()].flat().filter((child) => child.exitCode === null && child.signalCode === null);
  return { supervisor, events, next, children, living };
}
