import type { Writable } from "node:stream";
import { styleText } from "node:util";
import { createLog } from "../../lib/runtime/log.ts";
import type { Settings } from "../../lib/runtime/settings.ts";

/** Where the lines of the children and of the stack itself go. */
export interface Output {
  /** A line that a child wrote to its stdout: a pino JSON line as a rule. */
  log(name: string, line: string): void;
  /** A line that a child wrote to its stderr. */
  error(name: string, line: string): void;
  /** What the stack itself has to say, among the log lines of the others. */
  note(level: "info" | "warn" | "error", message: string): void;
  /** Text for people, as it is: the ready block. */
  say(text: string): void;
}

const COLORS = ["cyan", "green", "yellow", "magenta", "blue", "white"] as const;

/**
 * On a terminal each line is made readable and gets a coloured `[name]`; otherwise JSON lines pass through unchanged,
 * for whatever collects them. A reader that goes away (`npm start | head`) costs its lines, never the stack.
 *
 * @param pretty - turns one JSON line into readable text; null passes lines through.
 */
export function createOutput(o: {
  stdout: Writable;
  stderr: Writable;
  pretty: ((line: string) => string) | null;
  settings: Pick<Settings, "logLevel">;
}): Output {
  const { stdout, stderr, pretty } = o;
  for (const stream of [stdout, stderr]) stream.on("error", () => {});
  const prefixOf = createPrefixes(pretty !== null);

  const log = (name: string, line: string) => {
    if (line.trim() === "") return;
    if (pretty === null) stdout.write(`${line}\n`);
    else for (const text of pretty(line).trimEnd().split("\n")) stdout.write(`${prefixOf(name)} ${text}\n`);
  };

  const own = createLog("stack", o.settings, { write: (line) => log("stack", line.trimEnd()) });

  return {
    log,
    error: (name, line) => {
      if (line.trim() !== "") stderr.write(`${prefixOf(name)} ${line}\n`);
    },
    note: (level, message) => own[level](message),
    say: (text) => {
      stdout.write(`${text}\n`);
    },
  };
}

/** Each name keeps the colour that it got when it was first seen. */
function createPrefixes(colored: boolean): (name: string) => string {
  const prefixes = new Map<string, string>();
  return (name) => {
    const known = prefixes.get(name);
    if (known !== undefined) return known;
    const color = COLORS[prefixes.size % COLORS.length] ?? "white";
    const prefix = colored ? styleText(color, `[${name}]`.padEnd(12), { validateStream: false }) : `[${name}]`;
    prefixes.set(name, prefix);
    return prefix;
  };
}

/** pino-pretty with the settings of the stack, loaded only where a person looks. */
export async function prettyLines(): Promise<(line: string) => string> {
  const { prettyFactory } = await import("pino-pretty");
  const pretty = prettyFactory({
    colorize: true,
    ignore: "pid,hostname,name",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return (line) => (line.startsWith("{") ? pretty(line) : line);
}
