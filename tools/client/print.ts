import { stripVTControlCharacters } from "node:util";
import { PersonId } from "../../lib/contracts/names.ts";
import type { ProofCheck } from "./check-proof.ts";

/**
 * A plain table: names above, rows below, columns aligned. Control characters are taken out, so that nothing that was
 * written on the floor can steer a terminal. An empty table is one sentence.
 */
export async function table(names: string[], rows: (string | number | null)[][], empty: string): Promise<string> {
  if (rows.length === 0) return empty;
  const { default: Table } = await import("cli-table3");
  const blank = {
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
  };
  const inner = {
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  };
  const made = new Table({
    head: names,
    chars: { ...blank, ...inner },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  made.push(...rows.map((row) => row.map((cell) => (cell === null ? "-" : plain(String(cell))))));
  return made
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Names and values beneath each other. */
export function list(rows: [string, string | number | null][]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .map(([name, value]) => `${name.padEnd(width)}  ${value === null ? "-" : plain(String(value))}`)
    .join("\n");
}

/** Text without control characters and terminal sequences. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this takes out
  return stripVTControlCharacters(text).replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028\u2029]+/g, " ");
}

/** What a check of a proof found, step by step. */
export function proofText(check: ProofCheck): string {
  const steps = check.steps.map((step) => `  ${step.ok ? "holds " : "FAILS "} ${step.what}`);
  const verdict = check.ok
    ? `Proved here: record ${check.seq} is in the book ${check.book}.`
    : `NOT proved: record ${check.seq} of the book ${check.book}.`;
  return [...steps, verdict].join("\n");
}

/** Who did something: a login; of a person who has none any more, that; else the name of the machine or service. */
export function whoText(who: string | null, sub: string | null): string | null {
  return who ?? (PersonId.safeParse(sub).success ? "erased person" : sub);
}

/** An instant for people, in the zone of this computer. */
export function localTime(instant: string): string {
  const at = new Date(instant);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
