import { type Logger, pino } from "pino";
import { watch, type Watched } from "./until.ts";

export type LogLine = { level: number; msg: string; [field: string]: unknown };

/** A log that keeps what it was told; `watched.until` waits for lines. */
export function recordLog(): { log: Logger; lines: LogLine[]; watched: Watched<LogLine[]> } {
  const watched = watch<LogLine[]>([]);
  const write = (line: string) => {
    watched.value.push(JSON.parse(line) as LogLine);
    watched.changed();
  };
  return { log: pino({ level: "trace" }, { write }), lines: watched.value, watched };
}
