import type { z } from "zod";
import { type ErrorCode, RastroError } from "./errors.ts";

/**
 * Parses bytes from outside into a type, once, at the edge.
 *
 * @param what - names the thing in the message: "the batch of machine ipc-07".
 * @throws RastroError `malformed` when the bytes are not UTF-8 JSON, `schema` (or the code that the schema's
 *   issue names in `params.code`) with field, given value and expectation when they fit no schema.
 */
export function parseJson<S extends z.ZodType>(schema: S, bytes: Uint8Array | string, what: string): z.infer<S> {
  let value: unknown;
  try {
    value = JSON.parse(typeof bytes === "string" ? bytes : new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RastroError(
      { code: "malformed", message: `Reading ${what} failed: it is not JSON.`, expected: "a JSON object" },
      { cause },
    );
  }
  return parseValue(schema, value, what);
}

/** As {@link parseJson} for a value that is already decoded. */
export function parseValue<S extends z.ZodType>(schema: S, value: unknown, what: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String) ?? [];
  const field = path.join(".") || "(whole)";
  const given = SECRET_FIELDS.has(path.at(-1) ?? "")
    ? "a value that is not shown"
    : describe(valueAt(value, issue?.path ?? []));
  const expected = issue?.message ?? "a value that fits";
  throw new RastroError({
    code: codeOf(issue),
    message: `Reading ${what} failed: ${field} is ${given}; expected: ${expected}.`,
    field,
    given,
    expected,
  });
}

/** What is never repeated in a message, since messages end in logs and on screens. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(["password", "current", "secret", "token", "localKey"]);

function codeOf(issue: z.core.$ZodIssue | undefined): ErrorCode {
  const params = issue?.code === "custom" ? (issue.params as { code?: ErrorCode } | undefined) : undefined;
  return params?.code ?? "schema";
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (at === null || typeof at !== "object") return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

function describe(value: unknown): string {
  if (value === undefined) return "missing";
  const text = stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** JSON.parse reads nesting of any depth, JSON.stringify runs out of stack at some thousands. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value) ?? typeof value;
  } catch {
    return "nested too deeply to show";
  }
}
