import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EMPTY_ROOT, leafHash, nodeHash } from "../../../lib/ledger/hash.ts";
import { verifyConsistency, verifyInclusion } from "../../../lib/ledger/proof.ts";
import {
  appendLeaf,
  consistencyPath,
  EMPTY_RANGE,
  inclusionPath,
  rangeOf,
  rootOf,
  type NodeReader,
} from "../../../lib/ledger/tree.ts";
import { LEAVES, ROOTS } from "./vectors/roots.ts";

describe("hashes", () => {
  it("put 0x00 before leaves and 0x01 before nodes", () => {
    const sha256 = (hex: string) => createHash("sha256").update(Buffer.from(hex, "hex")).digest("hex");
    const [left, right] = [Buffer.alloc(32, 0xaa), Buffer.alloc(32, 0xbb)];
    expect(leafHash(Buffer.from("2021", "hex")).toString("hex")).toBe(sha256("002021"));
    expect(nodeHash(left, right).toString("hex")).toBe(sha256(`01${"aa".repeat(32)}${"bb".repeat(32)}`));
    expect(EMPTY_ROOT.toString("hex")).toBe(sha256(""));
  });
});

describe("roots", () => {
  it.each([...ROOTS])("over %i known leaves", (size, root) => {
    const tree = grow(LEAVES.slice(0, size).map((hex) => leafHash(Buffer.from(hex, "hex"))));
    expect(tree.root(size).toString("hex")).toBe(root);
  });

  it("equal the recursive definition of RFC 9162 at every size", () => {
    const leaves = someLeaves(130);
    const tree = grow(leaves);
    for (let size = 0; size <= leaves.length; size += 1) {
      expect(tree.root(size)).toEqual(byDefinition(leaves.slice(0, size)));
      expect(rootOf(rangeOf(size, tree.node))).toEqual(tree.root(size));
    }
  });
});

describe("nodes", () => {
  it("are completed once each, the leaf first", () => {
    const { completed } = grow(someLeaves(64));
    expect(new Set(completed).size).toBe(completed.length);
    expect(completed).toHaveLength(127);
    expect(completed.slice(-7)).toEqual(["0/63", "1/31", "2/15", "3/7", "4/3", "5/1", "6/0"]);
  });
});

const MAXIMUM = 300;
const big = grow(someLeaves(MAXIMUM));
const size = fc.integer({ min: 1, max: MAXIMUM });

describe("inclusion proofs", () => {
  it("of every leaf of every small tree hold", () => {
    for (let size = 1; size <= 33; size += 1) {
      for (let seq = 0; seq < size; seq += 1) expect(verifyInclusion(inclusion(seq, size))).toBe(true);
    }
  });

  it("hold for any leaf of any tree, and fail when anything is changed", () => {
    fc.assert(
      fc.property(size, fc.nat(), fc.nat(), fc.integer({ min: 0, max: 7 }), (size, at, where, bit) => {
        const proof = inclusion(at % size, size);
        expect(verifyInclusion(proof)).toBe(true);
        for (const broken of breakInclusion(proof, where, bit)) expect(verifyInclusion(broken)).toBe(false);
      }),
    );
  });

  it("refuse hashes of another length, and numbers that are none", () => {
    const proof = inclusion(3, 7);
    expect(verifyInclusion({ ...proof, leaf: proof.leaf.subarray(1) })).toBe(false);
    expect(verifyInclusion({ ...proof, root: Buffer.concat([proof.root, Buffer.alloc(1)]) })).toBe(false);
    expect(verifyInclusion({ ...proof, path: proof.path.map((hash) => hash.subarray(0, 31)) })).toBe(false);
    for (const seq of [-1, 1.5, Number.NaN, 2 ** 60]) expect(verifyInclusion({ ...proof, seq })).toBe(false);
    for (const size of [0, -7, 7.5, 2n ** 64n]) expect(verifyInclusion({ ...proof, size })).toBe(false);
  });

  it("are not made for a leaf that the tree has not", () => {
    expect(() => inclusionPath(7, 7, big.node)).toThrow(RangeError);
    expect(() => inclusionPath(-1, 7, big.node)).toThrow(RangeError);
  });
});

describe("consistency proofs", () => {
  it("of every pair of small trees hold", () => {
    for (let second = 0; second <= 33; second += 1) {
      for (let first = 0; first <= second; first += 1) expect(verifyConsistency(consistency(first, second))).toBe(true);
    }
  });

  it("hold for any pair of trees, and fail when anything is changed", () => {
    fc.assert(
      fc.property(size, fc.nat(), fc.nat(), fc.integer({ min: 0, max: 7 }), (second, at, where, bit) => {
        const proof = consistency(1 + (at % second), second);
        expect(verifyConsistency(proof)).toBe(true);
        for (const broken of breakConsistency(proof, where, bit)) expect(verifyConsistency(broken)).toBe(false);
      }),
    );
  });

  it("are not made from a larger tree to a smaller", () => {
    expect(() => consistencyPath(8, 7, big.node)).toThrow(RangeError);
    expect(verifyConsistency({ ...consistency(7, 8), first: 9 })).toBe(false);
  });
});

type Inclusion = { seq: number; size: number; leaf: Buffer; path: Buffer[]; root: Buffer };
type Consistency = { first: number; second: number; firstRoot: Buffer; secondRoot: Buffer; path: Buffer[] };

function inclusion(seq: number, size: number): Inclusion {
  return { seq, size, leaf: big.node(0, seq), path: inclusionPath(seq, size, big.node), root: big.root(size) };
}

function consistency(first: number, second: number): Consistency {
  const path = consistencyPath(first, second, big.node);
  return { first, second, firstRoot: big.root(first), secondRoot: big.root(second), path };
}

function breakInclusion(proof: Inclusion, where: number, bit: number): Inclusion[] {
  const { path } = proof;
  return [
    { ...proof, leaf: flip(proof.leaf, where, bit) },
    { ...proof, root: flip(proof.root, where, bit) },
    { ...proof, path: [...path, Buffer.alloc(32)] },
    { ...proof, path: [Buffer.alloc(32), ...path] },
    { ...proof, seq: proof.seq + proof.size },
    ...(path.length === 0
      ? []
      : [
          { ...proof, path: path.slice(1) },
          { ...proof, path: path.slice(0, -1) },
        ]),
    ...path.map((hash, index) => ({ ...proof, path: path.with(index, flip(hash, where, bit)) })),
  ];
}

function breakConsistency(proof: Consistency, where: number, bit: number): Consistency[] {
  const { path } = proof;
  return [
    { ...proof, firstRoot: flip(proof.firstRoot, where, bit) },
    { ...proof, secondRoot: flip(proof.secondRoot, where, bit) },
    { ...proof, path: [...path, Buffer.alloc(32)] },
    ...(path.length === 0
      ? []
      : [
          { ...proof, path: path.slice(1) },
          { ...proof, path: path.slice(0, -1) },
        ]),
    ...path.map((hash, index) => ({ ...proof, path: path.with(index, flip(hash, where, bit)) })),
  ];
}

function flip(hash: Buffer, where: number, bit: number): Buffer {
  const flipped = Buffer.from(hash);
  flipped.writeUInt8(flipped.readUInt8(where % 32) ^ (1 << bit), where % 32);
  return flipped;
}

function grow(leaves: Buffer[]): { node: NodeReader; root: (size: number) => Buffer; completed: string[] } {
  const nodes = new Map<string, Buffer>();
  const roots = [EMPTY_ROOT];
  let range = EMPTY_RANGE;
  for (const leaf of leaves) {
    const grown = appendLeaf(range, leaf);
    range = grown.range;
    for (const { level, index, hash } of grown.completed) nodes.set(`${level}/${index}`, hash);
    roots.push(rootOf(range));
  }
  return {
    node: (level, index) => must(nodes.get(`${level}/${index}`)),
    root: (size) => must(roots[size]),
    completed: [...nodes.keys()],
  };
}

function someLeaves(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`leaf ${index}`)));
}

/** MTH(D_n) as RFC 9162 §2.1.1 writes it. */
function byDefinition(leaves: Buffer[]): Buffer {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return must(leaves[0]);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(byDefinition(leaves.slice(0, split)), byDefinition(leaves.slice(split)));
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not there");
  return value;
}
