import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exitCodeOf } from "../../../tools/client/outcome.ts";
import { list, plain, table } from "../../../tools/client/print.ts";
import { typedCount, typedInstant } from "../../../tools/client/usage.ts";

describe("a count as typed", () => {
  test("whole numbers are numbers", () => {
    fc.assert(
      fc.property(fc.integer({ min: -999_999_999, max: 999_999_999 }), (count) => {
        expect(typedCount(String(count))).toBe(count);
      }),
    );
  });

  test.each(["1.000", "1,5", "1e3", "0x10", "", " 5", "5 ", "five", "1.5", "9".repeat(16), "٣"])(
    "%j stays text",
    (text) => {
      expect(typedCount(text)).toBe(text);
    },
  );
});

describe("an instant as typed", () => {
  test.each([
    ["2026-11-24T05:44:05Z", "2026-11-24T05:44:05.000Z"],
    ["2026-11-24T02:44:05-03:00", "2026-11-24T05:44:05.000Z"],
    ["2026-11-24 02:44-03:00", "2026-11-24T05:44:00.000Z"],
    ["2026-11-24t05:44:05.25z", "2026-11-24T05:44:05.250Z"],
  ])("%s", (typed, instant) => {
    expect(typedInstant("--at", typed)).toBe(instant);
  });

  test.each(["2026-11-24T05:44:05", "2026-11-24", "2026-13-01T00:00:00Z", "yesterday", ""])(
    "%j is refused",
    (typed) => {
      expect(() => typedInstant("--at", typed)).toThrow(
        "expected: an instant with its zone, such as 2026-11-24T14:05:00-03:00.",
      );
    },
  );
});

test.each([
  ["unknown_entry", 1],
  ["version_conflict", 1],
  ["schema", 2],
  ["justification_required", 2],
  ["not_reachable", 3],
  ["timeout", 3],
  ["not_allowed", 4],
  ["bad_credentials", 4],
  ["internal", 1],
] as const)("the exit code of %s is %i", (code, exit) => {
  expect(exitCodeOf({ code, message: "" })).toBe(exit);
});

describe("printing", () => {
  test("text from the floor cannot steer a terminal", () => {
    const shown = plain("a\u001B[2Jb\u0007c\nd\u009B31me");
    const codes = [...new Intl.Segmenter().segment(shown)].map(({ segment }) => segment.codePointAt(0) ?? 0);
    expect(codes.filter((code) => code < 0x20 || (code >= 0x7f && code < 0xa0))).toEqual([]);
    expect(list([["lot", "x\u001B]0;title\u0007y"]])).not.toContain("\u001B");
  });

  test("a table has its columns aligned and no frame", async () => {
    const text = await table(
      ["name", "n"],
      [
        ["press-1", 3],
        ["a", null],
      ],
      "none",
    );
    expect(text.split("\n")).toEqual(["name     n", "press-1  3", "a        -"]);
  });

  test("an empty table is a sentence", async () => {
    await expect(table(["name"], [], "There is none.")).resolves.toBe("There is none.");
  });
});
