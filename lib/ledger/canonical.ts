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
  if (!isOrdered(value, 0)) return textOf(value, null, 0);
  // Where every key stands in its place JSON.stringify writes the canonical form, in a third of the time.
  const text = JSON.stringify(value);
  return text.includes(ESCAPED_SURROGATE) ? textOf(value, null, 0) : text;
}

/** How JSON.stringify begins what it writes for a lone surrogate; also met in text that says so itself. */
const ESCAPED_SURROGATE = "\\ud";

/** Whether all keys stand in canonical order and all numbers and objects are such as have a canonical form. */
function isOrdered(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isSafeInteger(value);
    case "object":
      if (value === null) return true;
      if (depth === MAXIMUM_DEPTH) return false;
      return Array.isArray(value) ? isOrderedList(value, depth + 1) : isOrderedObject(value, depth + 1);
    default:
      return false;
  }
}

function isOrderedList(list: readonly unknown[], depth: number): boolean {
  for (let index = 0; index < list.length; index += 1) if (!isOrdered(list[index], depth)) return false;
  return true;
}

function isOrderedObject(object: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) return false;
  let before: string | null = null;
  for (const key of Object.keys(object)) {
    if (before !== null && key < before) return false;
    before = key;
    if (!isOrdered((object as Record<string, unknown>)[key], depth)) return false;
  }
  return true;
}

/** As {@link canonicalText} of a text or null, in a fraction of the time. */
export function canonicalString(text: string | null): string {
  return text === null ? "null" : stringText(text, null);
}

/** UTF-8 of {@link canonicalText}; throws as it does. */
export function canonicalBytes(value: unknown): Buffer {
  return Buffer.from(canonicalText(value), "utf8");
}

/** Where a value stands, for the message of a fault. */
type Place = { key: string | number; within: Place } | null;

function textOf(value: unknown, place: Place, depth: number): string {
  switch (typeof value) {
    case "string":
      return stringText(value, place);
    case "number":
      // ECMAScript's notation, which RFC 8785 §3.2.2.3 asks for, is plain digits for these; -0 is written 0.
      if (Number.isSafeInteger(value)) return String(value);
      throw refusal(place, `${value}, expected an integer up to 2^53 - 1`);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      if (depth === MAXIMUM_DEPTH) throw refusal(place, `nested deeper than ${MAXIMUM_DEPTH}`);
      return Array.isArray(value) ? arrayText(value, place, depth + 1) : objectText(value, place, depth + 1);
    default:
      throw refusal(place, typeof value);
  }
}

/** Printable ASCII but quote and backslash: what most text is, and what needs no escape. */
const PLAIN = /^[ !#-[\]-~]*$/;

function stringText(text: string, place: Place): string {
  if (PLAIN.test(text)) return `"${text}"`;
  // RFC 8785 §3.2.2.2 names the escapes of ECMAScript's JSON.stringify.
  if (text.isWellFormed()) return JSON.stringify(text);
  throw refusal(place, "text with a lone surrogate");
}

function arrayText(list: readonly unknown[], within: Place, depth: number): string {
  let text = "";
  for (let key = 0; key < list.length; key += 1) {
    if (key > 0) text += ",";
    text += textOf(list[key], { key, within }, depth);
  }
  return `[${text}]`;
}

function objectText(object: object, within: Place, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) throw refusal(within, "no plain object");
  let text = "";
  // Without a comparator, sort goes by UTF-16 code units (RFC 8785 §3.2.3).
  for (const key of Object.keys(object).sort()) {
    if (text !== "") text += ",";
    text += `${stringText(key, within)}:${textOf((object as Record<string, unknown>)[key], { key, within }, depth)}`;
  }
  return `{${text}}`;
}

function refusal(place: Place, what: string): LedgerError {
  const path: (string | number)[] = [];
  for (let at = place; at !== null; at = at.within) path.unshift(at.key);
  const where = path.length === 0 ? "the value" : `"${path.join(".")}"`;
  return new LedgerError("not-canonical", `Writing canonical JSON failed: ${where} is ${what}.`);
}
