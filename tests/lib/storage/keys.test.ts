import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idBytes, keys, readSeqText, readU64, seqText, u64 } from "../../../lib/storage/keys.ts";
import { idOf } from "../../suites/events.ts";

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe("numbers in keys", () => {
  it("read back, and sort as they count", () => {
    fc.assert(
      fc.property(number, number, (left, right) => {
        expect(readU64(u64(left))).toBe(left);
        expect(Math.sign(Buffer.compare(u64(left), u64(right)))).toBe(Math.sign(left - right));
        expect(Math.sign(Buffer.compare(keys.record(left), keys.record(right)))).toBe(Math.sign(left - right));
      }),
    );
  });

  it("are safe integers", () => {
    for (const wrong of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => u64(wrong)).toThrow(RangeError);
    expect(() => readU64(Buffer.alloc(8, 0xff))).toThrow(RangeError);
  });
});

describe("numbers that ids lead to", () => {
  it("are read as they are written, and nothing else is", () => {
    for (const seq of [0, 7, 10, 2 ** 53 - 1]) expect(readSeqText(seqText(seq))).toBe(seq);
    for (const wrong of ["", "-1", "01", "1.0", " 1", "1e3", "9007199254740993", "x"])
      expect(() => readSeqText(wrong)).toThrow(RangeError);
  });
});

describe("keys", () => {
  it("are laid out as docs/ledger-format.md says", () => {
    const id = "0193f3a0000070008000000000000005";
    expect(keys.record(258).toString("hex")).toBe("720000000000000102");
    expect(keys.tile(3, 258).toString("hex")).toBe("6e030000000000000102");
    expect(keys.id(idOf(5)).toString()).toBe(`d${idOf(5)}`);
    expect(keys.position("ipc-07", "0102030405060708").toString()).toBe("pipc-07/0102030405060708");
    expect(keys.quarantine(Buffer.alloc(32, 1)).toString("hex")).toBe(`71${"01".repeat(32)}`);
    expect(keys.outbox.state("audit").toString()).toBe("oaudit/state");
    expect(keys.outbox.event("audit", 1).toString("hex")).toBe(
      `${Buffer.from("oaudit/e").toString("hex")}0000000000000001`,
    );
    expect(keys.outbox.receipt("audit", 1).toString("hex")).toBe(
      `${Buffer.from("oaudit/t").toString("hex")}0000000000000001`,
    );
    expect(keys.outbox.id("audit", idOf(5)).toString("hex")).toBe(`${Buffer.from("oaudit/i").toString("hex")}${id}`);
  });

  it("are not made from what is no UUID", () => {
    for (const wrong of ["", idOf(5).toUpperCase(), idOf(5).replaceAll("-", ""), `${idOf(5)}0`]) {
      expect(() => idBytes(wrong)).toThrow(RangeError);
      expect(() => keys.id(wrong)).toThrow(RangeError);
    }
  });
});
