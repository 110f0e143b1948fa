import { describe, expect, it } from "vitest";
import { followRotations, formatRotation, logKey } from "../../../lib/ledger/key-rotation.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { formatNote, parseNote } from "../../../lib/ledger/signed-note.ts";
import { keyOfSeed } from "./keys.ts";

const ORIGIN = "plant-1/audit";
const key = (seed: number) => logKey(ORIGIN, rawPublicKey(keyOfSeed(seed)));
const rotation = (from: number, to: number) => formatRotation(ORIGIN, { from: keyOfSeed(from), to: keyOfSeed(to) });
const ROW = [rotation(1, 2), rotation(2, 3), rotation(3, 4)];

describe("rotations of a log's key", () => {
  it("lead from any key of the row to the newest", () => {
    expect(followRotations(key(1), ROW)).toEqual([key(1), key(2), key(3), key(4)]);
    expect(followRotations(key(3), ROW)).toEqual([key(3), key(4)]);
    expect(followRotations(key(4), ROW)).toEqual([key(4)]);
  });

  it("lead nowhere from a key that is not in the row, nor over a gap", () => {
    expect(followRotations(key(9), ROW)).toEqual([key(9)]);
    expect(followRotations(key(1), [ROW[0] ?? "", ROW[2] ?? ""])).toEqual([key(1), key(2)]);
  });

  it.each([
    ["signed by the new key alone", 1],
    ["signed by the old key alone", 0],
  ])("are refused when %s", (_name, kept) => {
    const { text, signatures } = parseNote(rotation(1, 2));
    const lame = formatNote({ text, signatures: signatures.slice(kept === 0 ? 0 : 1, kept === 0 ? 1 : 2) });
    expect(() => followRotations(key(1), [lame])).toThrow(expect.objectContaining({ code: "bad-note" }));
  });

  it("are refused with a key that was put in afterwards", () => {
    const forged = rotation(1, 2)
      .replace(ROW[1]?.split("\n")[3] ?? "", "")
      .replace(rotation(1, 2).split("\n")[3] ?? "", rotation(2, 7).split("\n")[3] ?? "");
    expect(() => followRotations(key(1), [forged])).toThrow(expect.objectContaining({ code: "bad-note" }));
  });
});
