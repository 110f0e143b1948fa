import { HASH_LENGTH } from "../../lib/ledger/hash.ts";
import { grownTiles, tileOf } from "../../lib/ledger/tiles.ts";
import type { Node } from "../../lib/ledger/tree.ts";
import { keys } from "../../lib/storage/keys.ts";

/** Key of the tile that has a node of a level that is kept. */
export function tileKeyOf(nodeLevel: number, nodeIndex: number): Buffer {
  const { level, index } = tileOf(nodeLevel, nodeIndex);
  return keys.tile(level, index);
}

/** A tile with another hash in the place of a node of a level that is kept. */
export function withNode(tile: Uint8Array, nodeLevel: number, nodeIndex: number, hash: Uint8Array): Buffer {
  const changed = Buffer.from(tile);
  changed.set(hash, tileOf(nodeLevel, nodeIndex).at * HASH_LENGTH);
  return changed;
}

/** Tiles of a tree that grows, in memory until they are asked for. */
export class GrowingTiles {
  readonly #rows = new Map<string, { key: Buffer; value: Buffer }>();

  add(completed: readonly Node[]): void {
    const read = (key: Buffer) => this.#rows.get(key.toString("hex"))?.value;
    for (const { key, bytes } of grownTiles(completed, keys.tile, read))
      this.#rows.set(key.toString("hex"), { key, value: bytes });
  }

  rows(): { key: Buffer; value: Buffer }[] {
    return [...this.#rows.values()];
  }
}
