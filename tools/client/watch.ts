import { setTimeout as pause } from "node:timers/promises";
import type { Outcome } from "./outcome.ts";
import { table } from "./print.ts";
import { type SignedInHub, withHub } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { usageError } from "./usage.ts";

type Cell = string | number | null;

/** A table whose rows can be told apart from one drawing to the next. */
export type KeyedTable = { names: string[]; rows: { key: string; cells: Cell[] }[]; empty: string };

const EVERY_MS = 1000;
/** ECMA-48: cursor home, erase the screen. */
const CLEAR = "\u001B[H\u001B[2J";

/**
 * Draws something anew each second until Ctrl-C, or until nobody reads any more.
 *
 * @param read - makes the next drawing.
 * @throws RastroError `schema` with `--json`, which prints exactly one value.
 */
export async function watch(
  terminal: Terminal,
  json: boolean | undefined,
  read: (hub: SignedInHub) => Promise<string>,
): Promise<Outcome> {
  if (json === true) {
    throw usageError("--watch", "used with --json", "one of the two, since --json prints exactly one value");
  }
  const stop = new AbortController();
  const end = () => stop.abort();
  process.on("SIGINT", end).on("SIGTERM", end);
  // Whoever read from the pipe has seen enough.
  terminal.stdout.on("error", end);
  await withHub(terminal.env, async (hub) => {
    while (!stop.signal.aborted) {
      terminal.stdout.write(`${terminal.stdout.isTTY ? CLEAR : ""}${await read(hub)}\n`);
      await pause(EVERY_MS, null, { signal: stop.signal }).catch(() => {});
    }
  });
  return { data: null, text: "" };
}

/** Makes drawings in which a "*" stands before each row that is new or says something else than in the drawing before. */
export function createChangeMarks(): (next: KeyedTable) => Promise<string> {
  let before: Map<string, string> | null = null;
  return ({ names, rows, empty }) => {
    const last = before;
    before = new Map(rows.map(({ key, cells }) => [key, JSON.stringify(cells)]));
    const isNew = ({ key, cells }: KeyedTable["rows"][number]) =>
      last !== null && last.get(key) !== JSON.stringify(cells);
    return table(
      ["", ...names],
      rows.map((row) => [isNew(row) ? "*" : "", ...row.cells]),
      empty,
    );
  };
}
