import { describe, expect, it } from "vitest";
import { EMPTY_ROOT } from "../../../lib/ledger/hash.ts";
import { formatHeadNote, parseHeadNote } from "../../../lib/ledger/head-note.ts";

const note = { origin: "plant-1/audit", size: 22_780, root: EMPTY_ROOT };

describe("a head note", () => {
  it("is the body of a checkpoint", () => {
    expect(formatHeadNote(note)).toBe("plant-1/audit\n22780\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
  });

  it("reads back, padded or not", () => {
    expect(parseHeadNote(formatHeadNote(note))).toEqual({ ...note, signed: null });
    expect(parseHeadNote(formatHeadNote(note).padEnd(512, "\n"))).toEqual({ ...note, signed: null });
  });

  it.each([
    ["nothing", ""],
    ["padding alone", "\n".repeat(512)],
    ["two lines", "plant-1/audit\n22780\n"],
    ["no last line break", formatHeadNote(note).trimEnd()],
    ["a size with a zero before it", formatHeadNote(note).replace("22780", "022780")],
    ["a size below zero", formatHeadNote(note).replace("22780", "-1")],
    ["a size beyond 2^53", formatHeadNote(note).replace("22780", "9007199254740993")],
    ["a root that is too short", "plant-1/audit\n22780\nAAAA\n"],
    ["a root with other characters", formatHeadNote(note).replace("+", "-")],
    ["no origin", formatHeadNote(note).replace("plant-1/audit", "")],
    ["more text", `${formatHeadNote(note)}more\n`],
    ["zeros", "\0".repeat(512)],
  ])("is refused: %s", (_name, text) => {
    expect(() => parseHeadNote(text)).toThrow(expect.objectContaining({ code: "bad-note" }));
  });

  it.each([
    ["an empty origin", { ...note, origin: "" }],
    ["an origin of two lines", { ...note, origin: "a\nb" }],
    ["an origin that is too long", { ...note, origin: "x".repeat(256) }],
    ["no size", { ...note, size: -1 }],
    ["a root of another length", { ...note, root: Buffer.alloc(31) }],
  ])("is not written: %s", (_name, wrong) => {
    expect(() => formatHeadNote(wrong)).toThrow(expect.objectContaining({ code: "bad-note" }));
  });
});
