import { describe, expect, it } from "vitest";
import { formatRotation, logKey } from "../../../lib/ledger/key-rotation.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { followLogs } from "../../../lib/witness/trusted-logs.ts";
import { keyOfSeed } from "../ledger/keys.ts";

const AUDIT = "plant-1/audit";
const key = (seed: number, origin = AUDIT) => logKey(origin, rawPublicKey(keyOfSeed(seed)));
const rotation = (from: number, to: number, origin = AUDIT) =>
  formatRotation(origin, { from: keyOfSeed(from), to: keyOfSeed(to) });

describe("the logs that a witness follows", () => {
  it("are known by the pinned key, then by the two newest that follow from it", () => {
    const logs = followLogs([key(1)]);
    expect(logs.keys()).toEqual([key(1)]);
    logs.follow([rotation(1, 2)]);
    expect(logs.keys()).toEqual([key(1), key(2)]);
    logs.follow([rotation(1, 2), rotation(2, 3)]);
    expect(logs.keys()).toEqual([key(2), key(3)]);
  });

  it("do not go back to an older row, and change by no other log's", () => {
    const logs = followLogs([key(1)]);
    logs.follow([rotation(1, 2), rotation(2, 3)]);
    logs.follow([rotation(1, 2)]);
    logs.follow([rotation(1, 2, "plant-1/production")]);
    logs.follow([]);
    expect(logs.keys()).toEqual([key(2), key(3)]);
  });

  it("take no key that none of theirs has handed over to", () => {
    const logs = followLogs([key(1)]);
    logs.follow([rotation(7, 8)]);
    const forged = rotation(1, 2).replace(
      /\n\n[^]*$/,
      (signatures) => signatures.split("\n").slice(0, 3).join("\n") + "\n",
    );
    expect(() => logs.follow([forged])).toThrow(expect.objectContaining({ code: "bad-note" }));
    expect(logs.keys()).toEqual([key(1)]);
  });
});
