import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExportCheck } from "../../../lib/ledger/export-check.ts";
import { LINE_MAXIMUM, parseExportLine } from "../../../lib/ledger/export-lines.ts";
import { OriginSignatures } from "../../../lib/ledger/origin-signatures.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { appendLeaf, appendSubtree, EMPTY_RANGE, rootOf, subtreesOf } from "../../../lib/ledger/tree.ts";
import { sampleBook, sampleExport } from "../../support/export-samples.ts";
import { keyOfSeed } from "./keys.ts";

const book = sampleBook(61);
const keys = [0, 1, 2].map((at) => ({ name: `press-${at}`, publicKey: rawPublicKey(book.key) }));

function check(text: string | Buffer, signatures = new OriginSignatures(keys)) {
  const check = new ExportCheck({ signatures });
  const bytes = Buffer.from(text);
  let from = 0;
  for (let at = bytes.indexOf("\n"); at >= 0; at = bytes.indexOf("\n", from)) {
    check.line(bytes.subarray(from, at));
    from = at + 1;
  }
  if (from < bytes.length) check.line(bytes.subarray(from));
  return { ...check.finish(), signatures: signatures.counts };
}

describe("subtrees", () => {
  it("cover every range with the fewest, and give the root of every tree", () => {
    for (let from = 0; from <= 61; from += 1) {
      for (let to = from; to <= 61; to += 1) {
        let range = EMPTY_RANGE;
        for (let seq = 0; seq < from; seq += 1) range = appendLeaf(range, book.leaves[seq] as Buffer).range;
        const cover = subtreesOf(from, to);
        for (const { level, index } of cover) range = appendSubtree(range, level, book.node(level, index));
        for (let seq = to; seq < 61; seq += 1) range = appendLeaf(range, book.leaves[seq] as Buffer).range;
        expect(rootOf(range).equals(book.root)).toBe(true);
        // No two neighbours of one level could have been one subtree.
        for (const [at, { level, index }] of cover.entries()) {
          const next = cover[at + 1];
          expect(next?.level === level && index % 2 === 0).toBe(false);
        }
      }
    }
  });

  it("begin where one of their level can begin", () => {
    const one = appendLeaf(EMPTY_RANGE, book.leaves[0] as Buffer).range;
    expect(() => appendSubtree(one, 1, book.root)).toThrow(/none begins at 1/);
    expect(() => appendSubtree(EMPTY_RANGE, 60, book.root)).toThrow(/Adding a subtree/);
    expect(subtreesOf(2 ** 40, 2 ** 40 + 3)).toEqual([
      { level: 1, index: 2 ** 39 },
      { level: 0, index: 2 ** 40 + 2 },
    ]);
  });
});

describe("an export", () => {
  it("is whole with every record, with some and with none", () => {
    const all = check(sampleExport(book));
    expect(all.trailer).toMatchObject({ records: 61, omitted: 0, unreadable: 0 });
    expect(all.signatures).toEqual({
      checked: { "press-0": 21, "press-1": 20, "press-2": 20 },
      unsigned: 0,
      unknownKey: 0,
    });
    const some = check(sampleExport(book, { choose: (seq) => seq % 3 === 1, damaged: [0, 7, 60] }));
    expect(some.trailer).toMatchObject({ records: 19, omitted: 39, unreadable: 3 });
    expect(check(sampleExport(book, { choose: () => false })).trailer).toMatchObject({ records: 0, omitted: 61 });
    expect(check(sampleExport(sampleBook(0))).trailer).toMatchObject({ records: 0, omitted: 0 });
  });

  it("has the bytes of each record as they are stored", () => {
    const lines = sampleExport(book).split("\n").slice(1, -2);
    for (const [seq, line] of lines.entries()) {
      expect(parseExportLine(Buffer.from(line))).toEqual({ kind: "record", seq, bytes: book.records[seq] });
      expect(JSON.parse(line)).toMatchObject({ seq, record: { seq } });
    }
  });

  it("holds whichever records are chosen", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 61, maxLength: 61 }), (chosen) => {
        const { trailer } = check(sampleExport(book, { choose: (seq) => chosen[seq] === true }));
        expect(trailer.records).toBe(chosen.filter(Boolean).length);
      }),
    );
  });

  it("counts signatures of keys that are not at hand", () => {
    const others = new OriginSignatures([{ name: "press-0", publicKey: rawPublicKey(keyOfSeed(8)) }]);
    expect(check(sampleExport(book), others).signatures).toEqual({ checked: {}, unsigned: 0, unknownKey: 61 });
  });
});

describe("a damaged export", () => {
  const text = Buffer.from(sampleExport(book, { choose: (seq) => seq % 4 === 2, damaged: [5] }));

  it("is refused for any flipped bit", () => {
    fc.assert(
      fc.property(fc.nat(text.length - 2), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(text);
        flipped[at] = (flipped[at] as number) ^ (1 << bit);
        expect(() => check(flipped)).toThrow(/^Checking the export failed in line \d+: .+\.$/);
      }),
      { numRuns: 500 },
    );
  });

  it("is refused wherever it is cut off, but for its last line break", () => {
    fc.assert(
      fc.property(fc.nat(text.length - 2), (length) => {
        expect(() => check(text.subarray(0, length))).toThrow(/Checking the export failed/);
      }),
      { numRuns: 150 },
    );
    expect(check(text.subarray(0, -1)).trailer.records).toBe(15);
  });

  const lines = sampleExport(book, { choose: (seq) => seq % 4 === 2 })
    .trimEnd()
    .split("\n");
  const swapped = (left: number, right: number) =>
    lines.with(left, lines[right] as string).with(right, lines[left] as string);

  it.each([
    ["two lines swapped", swapped(2, 4), /record 2 is due, and here is record 6/],
    ["a record taken out", lines.toSpliced(2, 1), /record 2 is due, and here is record 3/],
    ["a record twice", lines.toSpliced(2, 0, lines[2] as string), /record 3 is due, and here is record 2/],
    ["no header", lines.slice(1), /the header has to be the first line/],
    ["two headers", [lines[0] as string, ...lines], /the header has to be the first line/],
    ["something after the last line", [...lines, lines[1] as string], /something follows the last line/],
    ["nothing", [], /the file is empty/],
    ["spaces", lines.with(1, ` ${lines[1]}`), /no object in canonical JSON/],
    ["another version", lines.with(0, (lines[0] as string).replace('"v":1', '"v":2')), /version 2 of the format/],
    ["fewer records", lines.with(0, (lines[0] as string).replace('"size":61', '"size":60')), /beyond|stands for 61/],
    ["more records", lines.with(0, (lines[0] as string).replace('"size":61', '"size":62')), /stands for 61 records/],
    ["another filter", lines.with(0, (lines[0] as string).replace("press-1", "press-2")), /have the SHA-256/],
    ["fewer hashes", lines.with(1, '{"hashes":[],"omitted":[0,2]}'), /the records 0 to 1 need 1 hashes/],
    ["an empty gap", lines.with(1, '{"hashes":[],"omitted":[0,0]}'), /no range of records/],
  ])("is refused with %s", (_what, changed, reason) => {
    expect(() => check(changed.join("\n"))).toThrow(reason);
  });

  it("is refused with a line that is too long, before it is read", () => {
    const long = `{"record":${"x".repeat(LINE_MAXIMUM)},"seq":0}`;
    expect(() => check([lines[0], long].join("\n"))).toThrow(/longer than/);
  });

  it("is refused when a known key did not sign", () => {
    const forged = sampleBook(3, keyOfSeed(9));
    // The keys are those of another book, under the fingerprint that the records name.
    const signatures = new OriginSignatures(keys);
    expect(check(sampleExport(forged), signatures).signatures.unknownKey).toBe(3);
    const [record] = sampleExport(sampleBook(1)).split("\n").slice(1);
    const spoiled = (record as string).replace('"good":0', '"good":1');
    const own = new ExportCheck({ signatures: new OriginSignatures(keys) });
    own.line(Buffer.from(sampleExport(sampleBook(1)).split("\n")[0] as string));
    expect(() => own.line(Buffer.from(spoiled))).toThrow(/its event is not signed by the key/);
  });
});
