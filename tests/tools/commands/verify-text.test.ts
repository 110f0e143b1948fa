import { describe, expect, it } from "vitest";
import type { Damage, VerifyReport } from "../../../lib/contracts/book.ts";
import { verifyText } from "../../../tools/commands/verify-text.ts";

const HASH = "3f".repeat(32);

function report(damaged: Damage[], damagedCount = damaged.length): VerifyReport {
  return {
    ok: damagedCount === 0,
    book: "audit",
    from: 0,
    size: 24,
    root: HASH,
    damaged,
    damagedCount,
    signatures: { checked: 20, unsigned: 3, unknownKey: 1 },
    startedAt: "2026-11-24T12:00:00.000Z",
    tookMs: 16,
  };
}

describe("the text of a verification", () => {
  it("says that a book is whole", async () => {
    const text = await verifyText(report([]));
    expect(text).toContain("signatures  20 checked, 3 unsigned, 1 of unknown keys");
    expect(text).toMatch(/\n\nThe book audit is whole\.$/);
  });

  it("says what was not read", async () => {
    const text = await verifyText({ ...report([]), from: 16 });
    expect(text).toContain("records     24, read from 16 on");
    expect(text).toMatch(/whole from record 16 on\. What lies before was taken from the tree, unread\.$/);
  });

  it("has a line for each damage, with hashes shortened and keys readable", async () => {
    const text = await verifyText(
      report([
        { seq: 7, kind: "altered", key: "720000000000000007", expected: HASH, found: "ab".repeat(32) },
        { seq: 9, kind: "reordered", key: "720000000000000009", expected: "record 9", found: "record 4" },
        { seq: 23, kind: "forked", key: Buffer.from("head.note").toString("hex"), expected: HASH, found: "nothing" },
      ]),
    );
    expect(text).toContain("The book audit is DAMAGED in 3 places:");
    expect(text).toMatch(/^7 +altered +r 0000000000000007 +3f3f3f3f3f3f3f3f… +abababababababab…$/m);
    expect(text).toMatch(/^9 +reordered +r 0000000000000009 +record 9 +record 4$/m);
    expect(text).toMatch(/^23 +forked +head\.note +3f3f3f3f3f3f3f3f… +nothing$/m);
  });

  it("counts what it does not show", async () => {
    const many = Array.from({ length: 150 }, (_, seq): Damage => {
      return { seq, kind: "missing", key: "72", expected: HASH, found: "nothing" };
    });
    const text = await verifyText(report(many, 2000));
    expect(text).toContain("and 1900 more; --json has 150");
    expect(text.split("\n").filter((line) => line.includes("missing"))).toHaveLength(100);
  });
});
