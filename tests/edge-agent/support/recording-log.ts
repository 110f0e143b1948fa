import { createLog } from "../../../lib/runtime/log.ts";

/** A real logger whose lines the test can read. */
export function recordingLog() {
  const written: string[] = [];
  const log = createLog("test", { logLevel: "debug" }, { write: (line: string) => void written.push(line) });
  const lines = () => written.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, lines };
}
