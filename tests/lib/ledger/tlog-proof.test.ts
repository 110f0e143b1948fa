import { describe, expect, it } from "vitest";
import { signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../../lib/ledger/hash.ts";
import { formatTlogProof, parseTlogProof, provesLeaf } from "../../../lib/ledger/tlog-proof.ts";
import { appendLeaf, EMPTY_RANGE, inclusionPath, rootOf } from "../../../lib/ledger/tree.ts";
import { keyOfSeed } from "./keys.ts";

const leaf = (seq: number) => leafHash(Buffer.from(`record ${seq}`));
const proof = proofOf(5, 11);

function proofOf(index: number, size: number): string {
  const nodes = new Map<string, Buffer>();
  let range = EMPTY_RANGE;
  for (let seq = 0; seq < size; seq += 1) {
    const grown = appendLeaf(range, leaf(seq));
    range = grown.range;
    for (const node of grown.completed) nodes.set(`${node.level}/${node.index}`, node.hash);
  }
  const path = inclusionPath(index, size, (level, at) => nodes.get(`${level}/${at}`) as Buffer);
  const checkpoint = signCheckpoint({ origin: "plant-1/audit", size, root: rootOf(range) }, [keyOfSeed(1)]);
  return formatTlogProof({ extra: Buffer.from("record 5"), index, path, checkpoint });
}

describe("a proof to take away", () => {
  it("has the form of C2SP tlog-proof", () => {
    expect(proof).toMatch(
      /^c2sp\.org\/tlog-proof@v1\nextra [^\n]+\nindex 5\n(?:[A-Za-z0-9+/]{43}=\n){4}\nplant-1\/audit\n11\n/,
    );
  });

  it("reads back and leads to its checkpoint from its own leaf only", () => {
    const read = parseTlogProof(proof);
    expect(read.extra?.toString()).toBe("record 5");
    expect(formatTlogProof({ ...read, checkpoint: read.note })).toBe(proof);
    expect(provesLeaf(read, leaf(5))).toBe(true);
    expect(provesLeaf(read, leaf(4))).toBe(false);
    expect(provesLeaf({ ...read, index: 4 }, leaf(5))).toBe(false);
  });

  it("of the only record has no hashes", () => {
    const read = parseTlogProof(proofOf(0, 1));
    expect(read.path).toEqual([]);
    expect(provesLeaf(read, leaf(0))).toBe(true);
  });

  it.each([
    ["nothing", ""],
    ["another version", proof.replace("@v1", "@v2")],
    ["no index", proof.replace(/index 5\n/, "")],
    ["an index with a zero before it", proof.replace("index 5", "index 05")],
    ["a hash that is cut", proof.replace(/index 5\n..../, "index 5\n")],
    ["no checkpoint", proof.slice(0, proof.indexOf("\n\n") + 2)],
  ])("does not read: %s", (_name, text) => {
    expect(() => parseTlogProof(text)).toThrow(expect.objectContaining({ code: "bad-note" }));
  });
});
