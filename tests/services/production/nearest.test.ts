import * as fc from "fast-check";
import { expect, it } from "vitest";
import { editDistance, nearest, nearestSentence } from "../../../services/production/nearest.ts";

it("offers what is spelled alike, best first, and nothing that is far", () => {
  expect(nearest("L-1001", ["L-1002", "L-101", "MIX-7", "l-1001"])).toEqual(["l-1001", "L-1002", "L-101"]);
  expect(nearestSentence("zzzzzz", ["L-1"])).toBe("");
});

it("measures as a distance does", () => {
  const text = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      expect(editDistance(a, a)).toBe(0);
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
    }),
  );
});
