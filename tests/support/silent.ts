import { type Logger, pino } from "pino";

/** A log that says nothing. */
export const SILENT: Logger = pino({ level: "silent" });
