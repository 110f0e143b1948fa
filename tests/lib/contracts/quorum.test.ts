import { describe, expect, it } from "vitest";
import { QuorumText, thresholdOf } from "../../../lib/contracts/quorum.ts";

describe("a quorum as it is written", () => {
  it.each([
    ["majority", [0, 1, 2, 2, 3]],
    ["none", [0, 0, 0, 0, 0]],
    ["2", [2, 2, 2, 2, 2]],
    // More than (n + 1) / 2: two of them share an honest witness.
    ["f=1", [0, 2, 2, 3, 3]],
  ])("%s: of 0 to 4 witnesses", (text, expected) => {
    const rule = QuorumText.parse(text);
    expect([0, 1, 2, 3, 4].map((n) => thresholdOf(rule, n))).toEqual(expected);
  });

  it("two quorums of n, of which f are corrupt, share more than f witnesses", () => {
    for (let n = 1; n <= 32; n += 1) {
      for (let f = 0; f <= n; f += 1) {
        const k = thresholdOf({ kind: "faulty", f }, n);
        expect(2 * k - n).toBeGreaterThan(f);
        // One less would not do.
        expect(2 * (k - 1) - n).toBeLessThanOrEqual(f);
      }
    }
  });

  it.each(["", "most", "0", "33", "100", "f=", "f=33", "-1", "1.5"])("does not take %j", (text) => {
    expect(QuorumText.safeParse(text).success).toBe(false);
  });
});
