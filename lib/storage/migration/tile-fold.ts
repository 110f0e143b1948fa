import { HASH_LENGTH } from "../../ledger/hash.ts";
import { foldedIn, hashIn, TILE_HEIGHT, TILE_WIDTH, type TilePlace } from "../../ledger/tiles.ts";
import { appendSubtree, EMPTY_RANGE, type Range, rootOf } from "../../ledger/tree.ts";

export type Tile = TilePlace & { bytes: Buffer };

/**
 * Folds the leaves of a tree, given in their order, into the tiles that it is kept in. In memory that does not grow with
 * the tree: of each level only the tile that is not whole yet.
 */
export class TileFold {
  #size = 0;
  /** Of each level the hashes that are in no whole tile. */
  readonly #partial: Buffer[][] = [];

  /**
   * Goes on where another fold was after `size` leaves.
   *
   * @param read - the bytes of a tile that is not whole, as {@link TileFold.partial} gave it.
   * @returns null where they are not the bytes of such a tile.
   */
  static after(size: number, read: (level: number, index: number) => Buffer | undefined): TileFold | null {
    const fold = new TileFold();
    fold.#size = size;
    for (let level = 0, count = size; count > 0; level += 1, count = Math.floor(count / TILE_WIDTH)) {
      const wanted = count % TILE_WIDTH;
      const hashes = wanted === 0 ? [] : hashesOf(read(level, Math.floor(count / TILE_WIDTH)));
      if (hashes?.length !== wanted) return null;
      fold.#partial.push(hashes);
    }
    return fold;
  }

  /** How many leaves it was given. */
  get size(): number {
    return this.#size;
  }

  /** @returns the tiles that this leaf makes whole, from the lowest level up. */
  add(leaf: Buffer): Tile[] {
    const whole: Tile[] = [];
    this.#size += 1;
    let hash = leaf;
    for (let level = 0, count = this.#size; ; level += 1, count /= TILE_WIDTH) {
      const hashes = (this.#partial[level] ??= []);
      hashes.push(hash);
      if (hashes.length < TILE_WIDTH) return whole;
      const bytes = Buffer.concat(hashes);
      whole.push({ level, index: count / TILE_WIDTH - 1, bytes });
      hash = foldedIn(bytes, 0, TILE_HEIGHT) as Buffer;
      this.#partial[level] = [];
    }
  }

  /** The last tiles, of the levels whose last is not whole. */
  partial(): Tile[] {
    const tiles = this.#partial.map((hashes, level) => {
      const count = Math.floor(this.#size / TILE_WIDTH ** level);
      return { level, index: Math.floor(count / TILE_WIDTH), bytes: Buffer.concat(hashes) };
    });
    return tiles.filter(({ bytes }) => bytes.length > 0);
  }

  /** Merkle tree hash over the leaves so far (RFC 9162 §2.1.1). */
  root(): Buffer {
    let range: Range = EMPTY_RANGE;
    for (let level = this.#partial.length - 1; level >= 0; level -= 1)
      for (const hash of this.#partial[level] ?? []) range = appendSubtree(range, level * TILE_HEIGHT, hash);
    return rootOf(range);
  }
}

/** The hashes in a tile; null where its length is that of none. */
export function hashesOf(bytes: Buffer | undefined): Buffer[] | null {
  if (bytes === undefined || bytes.length === 0 || bytes.length % HASH_LENGTH !== 0) return null;
  const count = bytes.length / HASH_LENGTH;
  return count > TILE_WIDTH ? null : Array.from({ length: count }, (_, at) => hashIn(bytes, at) as Buffer);
}
