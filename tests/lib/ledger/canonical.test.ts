import canonicalize from "canonicalize";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalBytes, canonicalText } from "../../../lib/ledger/canonical.ts";
import { LedgerError } from "../../../lib/ledger/error.ts";

/** Text without lone surrogates, with plenty of what is outside ASCII. */
const text = fc.string({ unit: "grapheme" }).filter((candidate) => candidate.isWellFormed());
const { value } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    text,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value")),
    tie("object"),
  ),
  object: fc.dictionary(text, tie("value")),
}));

describe("canonical JSON", () => {
  it("reads back as the same value", () => {
    fc.assert(
      fc.property(value, (value) => {
        const text = canonicalText(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalText(JSON.parse(text))).toBe(text);
      }),
    );
  });

  it("is that of the reference implementation", () => {
    fc.assert(
      fc.property(value, (value) => {
        expect(canonicalText(value)).toBe(canonicalize(value));
      }),
    );
  });

  it("does not depend on the order of keys", () => {
    fc.assert(
      fc.property(fc.dictionary(text, value), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).toReversed());
        expect(canonicalText(reversed)).toBe(canonicalText(object));
      }),
    );
  });

  it("sorts keys by UTF-16 code units, as RFC 8785 §3.2.3 shows", () => {
    const keys = ["\u20ac", "\r", "\ufb33", "1", "\ud83d\ude00", "\u0080", "\u00f6"];
    const sorted = Object.keys(JSON.parse(canonicalText(Object.fromEntries(keys.map((key) => [key, 0])))) as object);
    expect(sorted).toEqual(["1", "\r", "\u0080", "\u00f6", "\u20ac", "\ud83d\ude00", "\ufb33"].toSorted(numericFirst));
    expect(canonicalText({ "\ufb33": 1, "\ud83d\ude00": 2 })).toBe('{"\ud83d\ude00":2,"\ufb33":1}');
  });

  it("escapes what it must and no more", () => {
    expect(canonicalText('\u0000\b\t\n\f\r"\\/\u001f\u007f\u20ac\u2028')).toBe(
      '"\\u0000\\b\\t\\n\\f\\r\\"\\\\/\\u001f\u007f\u20ac\u2028"',
    );
    expect(canonicalBytes("\u20ac")).toEqual(Buffer.from([0x22, 0xe2, 0x82, 0xac, 0x22]));
  });

  it("writes integers as integers", () => {
    expect(canonicalText([0, -0, 1e3, -5, Number.MAX_SAFE_INTEGER])).toBe("[0,0,1000,-5,9007199254740991]");
  });
});

const cycle: unknown[] = [];
cycle.push(cycle);

describe("a value without canonical form", () => {
  it.each([
    ["a fraction", { a: { b: [1, 0.5] } }, '"a.b.1" is 0.5'],
    ["a number beyond 2^53", { n: 2 ** 53 }, '"n" is 9007199254740992'],
    ["not a number", Number.NaN, "the value is NaN"],
    ["infinity", { n: Number.POSITIVE_INFINITY }, '"n" is Infinity'],
    ["undefined", { a: undefined }, '"a" is undefined'],
    ["undefined in a list", [1, undefined], '"1" is undefined'],
    ["a function", { toJSON: () => 1 }, '"toJSON" is function'],
    ["a bigint", { n: 1n }, '"n" is bigint'],
    ["a date", { at: new Date(0) }, '"at" is no plain object'],
    ["a buffer", { bytes: Buffer.from("a") }, '"bytes" is no plain object'],
    ["a map", new Map(), "the value is no plain object"],
    ["a lone surrogate", { text: "a\ud800" }, "lone surrogate"],
    ["a lone surrogate in a key", { "\udc00": 1 }, "lone surrogate"],
    ["a cycle", cycle, "nested deeper than 32"],
    ["deep nesting", JSON.parse("[".repeat(50_000) + "]".repeat(50_000)), "nested deeper than 32"],
  ])("is refused with its place: %s", (_name, value, message) => {
    const write = () => canonicalText(value);
    expect(write).toThrow(LedgerError);
    expect(write).toThrow(message);
    expect(write).toThrow(expect.objectContaining({ code: "not-canonical" }));
  });
});

/** Objects of JavaScript list keys that are array indexes first, whatever the text says. */
function numericFirst(left: string, right: string): number {
  return Number(right === "1") - Number(left === "1");
}
