import type { RunFile } from "../lib/runtime/run-files.ts";

/** Without one of these no entry gets a receipt, or none could be shown. An agent may live on another machine. */
export const REQUIRED_PROCESSES = ["broker", "audit", "production", "fleet"] as const;

/** What one process says about itself. `why` is there when it could not be asked or is not there. */
export type ProcessState = { name: string; ready: boolean; checks?: unknown; alarms?: unknown; why?: string };
export type PlantReadiness = { ready: boolean; processes: ProcessState[] };

const TIMEOUT_MS = 1000;

/**
 * Asks every process with a run file whether it is ready. The whole is ready when each process that must exist is
 * there and ready; others are listed and decide nothing.
 */
export async function askProcesses(o: {
  runFiles: () => RunFile[];
  fetch: typeof globalThis.fetch;
  timeoutMs?: number;
}): Promise<PlantReadiness> {
  const files = o.runFiles().filter((file) => file.name !== "console");
  const found = await Promise.all(files.map((file) => askOne(file, o.fetch, o.timeoutMs ?? TIMEOUT_MS)));
  const names = new Set(found.map((state) => state.name));
  const missing = REQUIRED_PROCESSES.filter((name) => !names.has(name)).map(notRunning);
  const processes = [...found, ...missing].toSorted((a, b) => a.name.localeCompare(b.name));
  const required = new Set<string>(REQUIRED_PROCESSES);
  return { ready: processes.every((state) => state.ready || !required.has(state.name)), processes };
}

function notRunning(name: string): ProcessState {
  return { name, ready: false, why: "it has not started" };
}

async function askOne(file: RunFile, fetch: typeof globalThis.fetch, timeoutMs: number): Promise<ProcessState> {
  try {
    const answer = await fetch(new URL("/readyz", file.url), { signal: AbortSignal.timeout(timeoutMs) });
    const state = (await answer.json()) as { name?: unknown; ready?: unknown; checks?: unknown; alarms?: unknown };
    if (state.name !== file.name) return { name: file.name, ready: false, why: "another program has its port" };
    return { name: file.name, ready: answer.ok && state.ready === true, checks: state.checks, alarms: state.alarms };
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    return { name: file.name, ready: false, why: late ? `no answer within ${timeoutMs} ms` : "it does not answer" };
  }
}
