import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

/**
 * Starts a process of ours and resolves once it says that it is ready.
 *
 * @param core - the only one that it runs on; any when left out.
 * @throws Error when it ends first.
 */
export async function startChild(
  main: string,
  env: NodeJS.ProcessEnv,
  nodeOptions: readonly string[] = [],
  core: number | null = null,
): Promise<ChildProcess> {
  const [program, ...args] = onCore(core, [process.execPath, ...nodeOptions, join(ROOT, main)]);
  const child = spawn(program, args, {
    env,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const ended = new AbortController();
  const died = once(child, "exit", { signal: ended.signal }).then(([code]) => {
    throw new Error(`${main} ended with exit code ${String(code)} before it was ready`);
  });
  try {
    await Promise.race([once(child, "message"), died]);
    return child;
  } finally {
    ended.abort();
    died.catch(() => undefined);
  }
}

/** The command line that runs another one on one core only (taskset of util-linux), or itself with null. */
export function onCore(core: number | null, command: [string, ...string[]]): [string, ...string[]] {
  return core === null ? command : ["taskset", "-c", String(core), ...command];
}

/** Asks a process to stop and waits until it has. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}
