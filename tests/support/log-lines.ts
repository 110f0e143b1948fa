import { type Logger, pino } from "pino";

export type LogLine = { level: number; msg: string; [field: string]: unknown };

/** A log that keeps what it was told. */
export function recordLog(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) });
  return { log, lines };
}
