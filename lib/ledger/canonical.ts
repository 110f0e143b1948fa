import canonicalize from "canonicalize";
import { LedgerError } from "./error.ts";

/** Deeper nesting than any event has; keeps hostile nesting away from recursive readers. */
const MAXIMUM_DEPTH = 32;

/**
 * The canonical JSON of a value (RFC 8785): keys sorted by UTF-16 code units, no white space, shortest escapes.
 *
 * Narrower than the RFC, so that every language agrees on the bytes: numbers are safe integers only, and nothing
 * is dropped or converted on the way.
 *
 * @throws LedgerError `not-canonical` for other numbers, undefined, functions, lone surrogates, objects that are
 *   not plain (Date, Map, Buffer …) and nesting deeper than 32; the message names the place.
 */
export function canonicalText(value: unknown): string {
  const fault = findFault(value, 0);
  if (fault !== null) {
    const place = fault.path.length === 0 ? "the value" : `"${fault.path.join(".")}"`;
    throw new LedgerError("not-canonical", `Writing canonical JSON failed: ${place} is ${fault.what}.`);
  }
  return canonicalize(value) as string;
}

/** UTF-8 of {@link canonicalText}; throws as it does. */
export function canonicalBytes(value: unknown): Buffer {
  return Buffer.from(canonicalText(value), "utf8");
}

type Fault = { what: string; path: string[] };

function findFault(value: unknown, depth: number): Fault | null {
  switch (typeof value) {
    case "boolean":
      return null;
    case "string":
      return value.isWellFormed() ? null : fault("text with a lone surrogate");
    case "number":
      return Number.isSafeInteger(value) ? null : fault(`${value}, expected an integer up to 2^53 - 1`);
    case "object":
      return value === null ? null : findFaultInside(value, depth);
    default:
      return fault(typeof value);
  }
}

function findFaultInside(value: object, depth: number): Fault | null {
  if (depth === MAXIMUM_DEPTH) return fault(`nested deeper than ${MAXIMUM_DEPTH}`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const found = findFault(value[index], depth + 1);
      if (found !== null) return below(String(index), found);
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return fault("no plain object");
  for (const key of Object.keys(value)) {
    if (!key.isWellFormed()) return fault("an object with a lone surrogate in a key");
    const found = findFault((value as Record<string, unknown>)[key], depth + 1);
    if (found !== null) return below(key, found);
  }
  return null;
}

function fault(what: string): Fault {
  return { what, path: [] };
}

function below(key: string, found: Fault): Fault {
  found.path.unshift(key);
  return found;
}
