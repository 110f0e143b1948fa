import { describe, expect, it } from "vitest";
import { leafHash, nodeHash } from "../../../lib/ledger/hash.ts";
import { cutTiles, grownTiles, nodesIn, TILE_WIDTH } from "../../../lib/ledger/tiles.ts";
import { appendLeaf, EMPTY_RANGE, inclusionPath, rangeOf, rootOf } from "../../../lib/ledger/tree.ts";
import { verifyInclusion } from "../../../lib/ledger/proof.ts";

/** Three levels of tiles, the uppermost with more than one hash. */
const SIZE = 16 ** 3 + 16 ** 2 + 16 + 5;

const leaves = Array.from({ length: SIZE }, (_, n) => leafHash(Buffer.from(String(n))));
const missing = (level: number, index: number) => new RangeError(`no node ${index} of level ${level}`);

type Tiles = Map<string, Buffer>;

const keyOf = (level: number, index: number) => `${level}/${index}`;

function grow(tiles: Tiles, from: number, to: number): void {
  let range = rangeOf(
    from,
    nodesIn((level, index) => tiles.get(`${level}/${index}`), missing),
  );
  for (let seq = from; seq < to; seq += 1) {
    const grown = appendLeaf(range, leaves[seq] as Buffer);
    for (const { key, bytes } of grownTiles(grown.completed, keyOf, (at) => tiles.get(at))) tiles.set(key, bytes);
    range = grown.range;
  }
}

function cut(tiles: Tiles, from: number, to: number): void {
  for (const { level, index, length } of cutTiles(from, to)) {
    const tile = tiles.get(`${level}/${index}`) as Buffer;
    if (length === 0) tiles.delete(`${level}/${index}`);
    else tiles.set(`${level}/${index}`, tile.subarray(0, length));
  }
}

/** By the definition: RFC 9162 §2.1.1 over a perfect subtree. */
function nodeOf(level: number, index: number): Buffer {
  if (level === 0) return leaves[index] as Buffer;
  return nodeHash(nodeOf(level - 1, 2 * index), nodeOf(level - 1, 2 * index + 1));
}

describe("a tree in tiles", () => {
  it("has every node that is whole, and none that is not", () => {
    const tiles: Tiles = new Map();
    grow(tiles, 0, SIZE);
    const node = nodesIn((level, index) => tiles.get(`${level}/${index}`), missing);
    for (let level = 0; 2 ** level <= SIZE; level += 1) {
      const whole = Math.floor(SIZE / 2 ** level);
      for (const index of new Set([0, 1, whole >> 1, whole - 2, whole - 1].filter((n) => n >= 0 && n < whole)))
        expect(node(level, index)).toEqual(nodeOf(level, index));
      expect(() => node(level, whole)).toThrow(RangeError);
    }
    expect(tiles.size).toBe(Math.ceil(SIZE / 16) + Math.ceil(Math.floor(SIZE / 16) / 16) + 2 + 1);
  });

  it("proves each leaf, and asks for each tile once", () => {
    const tiles: Tiles = new Map();
    grow(tiles, 0, SIZE);
    const range = rangeOf(
      SIZE,
      nodesIn((level, index) => tiles.get(`${level}/${index}`), missing),
    );
    for (const seq of [0, 1, TILE_WIDTH, 4095, 4096, SIZE - 2, SIZE - 1]) {
      const asked: string[] = [];
      const read = (level: number, index: number) => {
        asked.push(`${level}/${index}`);
        return tiles.get(`${level}/${index}`);
      };
      const path = inclusionPath(seq, SIZE, nodesIn(read, missing));
      const proof = { seq, size: SIZE, leaf: leaves[seq] as Buffer, path, root: rootOf(range) };
      expect(verifyInclusion(proof)).toBe(true);
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.length).toBeLessThanOrEqual(8);
    }
  });

  it.each([0, 1, 15, 16, 17, 255, 256, 4096, SIZE - 1, SIZE])("is the smaller one when it is cut to %i", (size) => {
    const [whole, small]: [Tiles, Tiles] = [new Map(), new Map()];
    grow(whole, 0, SIZE);
    grow(small, 0, size);
    cut(whole, SIZE, size);
    expect(whole).toEqual(small);
    grow(whole, size, SIZE);
    grow(small, size, SIZE);
    expect(whole).toEqual(small);
  });

  it("does not grow over a tile that has more or fewer hashes", () => {
    const { completed } = appendLeaf(appendLeaf(EMPTY_RANGE, leaves[0] as Buffer).range, leaves[1] as Buffer);
    for (const bytes of [undefined, Buffer.alloc(31), Buffer.alloc(64)])
      expect(() => grownTiles(completed, keyOf, () => bytes)).toThrow(expect.objectContaining({ code: "bad-tree" }));
  });
});
