import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Tile, TileFold } from "../../../../lib/storage/migration/tile-fold.ts";
import { rootOver, tilesOver } from "../../../support/format-1.ts";

const SIZES = [...Array.from({ length: 40 }, (_, size) => size), 255, 256, 257, 271, 272, 4095, 4096, 4097, 5000];
const leaves = Array.from({ length: 5000 }, (_, n) => createHash("sha256").update(String(n)).digest());

/** All tiles after so many leaves, the last of each level as it is then. */
function fold(size: number, tile = new TileFold(), from = 0): { tile: TileFold; whole: Tile[] } {
  const whole = leaves.slice(from, size).flatMap((leaf) => tile.add(leaf));
  return { tile, whole };
}

const inOrder = (tiles: readonly Tile[]) =>
  tiles
    .toSorted((a, b) => a.level - b.level || a.index - b.index)
    .map(({ level, index, bytes }) => [level, index, bytes.toString("hex")]);

describe("folding leaves into tiles", () => {
  it("gives every hash of every fourth level in its place, and the root", () => {
    for (const size of SIZES) {
      const { tile, whole } = fold(size);
      expect(inOrder([...whole, ...tile.partial()])).toEqual(tilesOver(leaves.slice(0, size)));
      expect(tile.root()).toEqual(rootOver(leaves.slice(0, size)));
      expect(tile.size).toBe(size);
    }
  });

  it("goes on where it was left, from the tiles that were not whole", () => {
    for (const size of SIZES) {
      const left = new Map(
        fold(size)
          .tile.partial()
          .map(({ level, index, bytes }) => [`${level}/${index}`, bytes]),
      );
      const again = TileFold.after(size, (level, index) => left.get(`${level}/${index}`));
      expect(again?.root()).toEqual(rootOver(leaves.slice(0, size)));
      const end = Math.min(size + 300, leaves.length);
      const { tile } = fold(end, again as TileFold, size);
      expect(tile.root()).toEqual(rootOver(leaves.slice(0, end)));
    }
  });

  it("does not go on from what is none of such tiles", () => {
    const [tile] = fold(5).tile.partial();
    expect(TileFold.after(5, () => undefined)).toBeNull();
    expect(TileFold.after(5, () => tile?.bytes.subarray(0, 4 * 32))).toBeNull();
    expect(TileFold.after(5, () => tile?.bytes.subarray(0, 100))).toBeNull();
  });
});
