import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Profile } from "../../lib/contracts/directory.ts";

/** A hub on LevelDB in a process of its own, which can be killed and started again on the same folder. */
export type KillableHub = {
  /** @returns its URL, another at each start. */
  start(): Promise<string>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
};

export function killableHub(folder: string, users: Readonly<Record<string, Profile>>): KillableHub {
  let child: ChildProcess | null = null;
  const kill = async () => {
    if (child === null) return;
    const gone = new Promise((resolve) => child?.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    child = null;
  };
  onTestFinished(kill);
  return {
    start() {
      const started = fork(join(import.meta.dirname, "hub-program.ts"), [folder, JSON.stringify(users)]);
      child = started;
      return new Promise((resolve, reject) => {
        started.once("message", (message) => resolve((message as { url: string }).url));
        started.once("exit", (code) => reject(new Error(`the hub ended with ${code} before it listened`)));
      });
    },
    kill,
  };
}
