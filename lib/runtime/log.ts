import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import type { Settings } from "./settings.ts";

export type { Logger } from "pino";

const SECRET_FIELDS = [
  "password",
  "token",
  "secret",
  "key",
  "privateKey",
  "localKey",
  "adminPassword",
  "authorization",
];
const DEPTHS = ["", "*.", "*.*."];

/**
 * A logger that writes one JSON object a line. Fields that hold secrets are blotted out down to the third level;
 * a secret inside a message text is not, so messages never carry one.
 *
 * @param destination - where lines go; standard output when left out.
 */
export function createLog(name: string, settings: Pick<Settings, "logLevel">, destination?: DestinationStream): Logger {
  const options = {
    name,
    level: settings.logLevel,
    base: {},
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: DEPTHS.flatMap((depth) => SECRET_FIELDS.map((field) => depth + field)), censor: "[hidden]" },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
