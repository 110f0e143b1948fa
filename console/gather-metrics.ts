import { joinMetrics, type Metrics } from "../lib/runtime/metrics.ts";
import type { RunFile } from "../lib/runtime/run-files.ts";

const TIMEOUT_MS = 2000;

/**
 * The figures of every process with a run file, and of the console itself, as one text. A process that does not answer
 * in time is `rastro_up` 0 and has no others: a scrape never fails for one of them.
 */
export async function gatherMetrics(o: {
  runFiles: () => RunFile[];
  own: Pick<Metrics, "text">;
  fetch: typeof globalThis.fetch;
  timeoutMs?: number;
}): Promise<string> {
  const files = o.runFiles().filter(({ name }) => name !== "console");
  const texts = await Promise.all(files.map((file) => askOne(file, o.fetch, o.timeoutMs ?? TIMEOUT_MS)));
  const up = [
    "# HELP rastro_up 1 for a process that answers, 0 for one that should and does not.",
    "# TYPE rastro_up gauge",
    'rastro_up{process="console"} 1',
    ...files.map(({ name }, index) => `rastro_up{process="${name}"} ${texts[index] === null ? 0 : 1}`),
  ].join("\n");
  return joinMetrics([up, await o.own.text(), ...texts.filter((text) => text !== null)]);
}

async function askOne(file: RunFile, fetch: typeof globalThis.fetch, timeoutMs: number): Promise<string | null> {
  try {
    const answer = await fetch(new URL("/metrics", file.url), { signal: AbortSignal.timeout(timeoutMs) });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}
