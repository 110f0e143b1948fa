import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Plan } from "./plan.ts";

/**
 * Starts a child on this very Node. It gets a process group of its own: Ctrl-C on a terminal goes to a whole group, and
 * the children have to stop one after another, by the stack's word. The IPC channel tells them when the stack is gone.
 */
export function createLauncher(o: { root: string; env: NodeJS.ProcessEnv }): (plan: Plan) => ChildProcess {
  return (plan) =>
    spawn(process.execPath, [...(plan.nodeOptions ?? []), join(o.root, plan.main)], {
      env: o.env,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: process.platform !== "win32",
      windowsHide: true,
    });
}
