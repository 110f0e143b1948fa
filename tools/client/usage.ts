import { RastroError } from "../../lib/contracts/errors.ts";

/** An error for an option or argument that does not fit: exit code 2. */
export function usageError(option: string, given: string, expected: string): RastroError {
  return new RastroError({
    code: "schema",
    message: `Reading the command failed: ${option} is ${given}; expected: ${expected}.`,
    field: option,
    given,
    expected,
  });
}

/**
 * A whole number as typed. Anything else stays text, so that the schema behind it names what is wrong: "1.000" may
 * mean a thousand or one, depending on who types, and so means neither here.
 */
export function typedCount(text: string): number | string {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** An instant with its zone as typed, written as every topic writes it. @throws RastroError when it has no zone or does not exist. */
export function typedInstant(option: string, text: string): string {
  const at = RFC_3339.test(text) ? new Date(text.replace(" ", "T").toUpperCase()) : new Date(Number.NaN);
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw usageError(option, JSON.stringify(text), "an instant with its zone, such as 2026-11-24T14:05:00-03:00");
}

/** JSON as typed for an option. @throws RastroError for what is none. */
export function typedJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw usageError(option, JSON.stringify(text), "a JSON object");
  }
}

/** Whole seconds as typed, in ms. @throws RastroError for anything else. */
export function typedSeconds(option: string, text: string): number {
  const seconds = typedCount(text);
  if (typeof seconds === "number") return seconds * 1000;
  throw usageError(option, JSON.stringify(text), "a whole number of seconds");
}
