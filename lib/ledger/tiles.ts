import { LedgerError } from "./error.ts";
import { HASH_LENGTH, nodeHash } from "./hash.ts";
import type { Node, NodeReader } from "./tree.ts";

/*
 * How a tree is kept: in tiles of 16 hashes, as C2SP's tlog-tiles are of 256. Tile `index` of tile level `level` has the
 * nodes 16·index to 16·index + 15 of tree level 4·level, one after the other; the last one of a level as many as there
 * are. Nodes of the levels between are computed from those below them: at most 14 hashes for one.
 */

/** Levels of the tree from one level of tiles to the next. */
export const TILE_HEIGHT = 4;
/** Hashes of a whole tile. */
export const TILE_WIDTH: number = 2 ** TILE_HEIGHT;

/** A tile: its level among tiles and its number there. */
export type TilePlace = { level: number; index: number };

/** Looks a tile up; undefined where there is none. */
export type TileReader = (level: number, index: number) => Uint8Array | undefined;

const NO_HASHES = Buffer.alloc(0);

/** Whether the nodes of a level of the tree lie in tiles, or are computed. */
export function isKept(level: number): boolean {
  return level % TILE_HEIGHT === 0;
}

/** The tile that has a node of a kept level, or those that it is computed from, and the place of the first of these. */
export function tileOf(level: number, index: number): TilePlace & { at: number } {
  const first = index * 2 ** (level % TILE_HEIGHT);
  return {
    level: Math.floor(level / TILE_HEIGHT),
    index: Math.floor(first / TILE_WIDTH),
    at: first % TILE_WIDTH,
  };
}

/** A node of a kept level as a tile has it; undefined where the tile has none in this place. */
export function hashIn(tile: Uint8Array | undefined, at: number): Buffer | undefined {
  if (tile === undefined || tile.length < (at + 1) * HASH_LENGTH) return undefined;
  return Buffer.from(tile.buffer, tile.byteOffset + at * HASH_LENGTH, HASH_LENGTH);
}

/**
 * The tiles that change when a leaf is added, as they are from then on.
 *
 * @param completed - the nodes that the leaf makes whole, as `appendLeaf` tells them.
 * @param keyOf - what a tile is kept under.
 * @param read - the tiles as they are before; asked for those only that have hashes already.
 * @throws LedgerError `bad-tree` for a tile with more or fewer hashes than the tree has nodes.
 */
export function grownTiles<K>(
  completed: readonly Node[],
  keyOf: (level: number, index: number) => K,
  read: (key: K) => Uint8Array | undefined,
): { key: K; bytes: Buffer }[] {
  const grown = [];
  for (const { level, index, hash } of completed) {
    if (!isKept(level)) continue;
    const place = tileOf(level, index);
    const key = keyOf(place.level, place.index);
    const before = place.at === 0 ? NO_HASHES : (read(key) ?? NO_HASHES);
    if (before.length !== place.at * HASH_LENGTH) throw wrongLength(place, before.length);
    const bytes = Buffer.allocUnsafe(before.length + HASH_LENGTH);
    bytes.set(before);
    bytes.set(hash, before.length);
    grown.push({ key, bytes });
  }
  return grown;
}

function wrongLength({ level, index, at }: TilePlace & { at: number }, length: number): LedgerError {
  const message = `Adding to tile ${index} of level ${level} failed: it has ${length} bytes, expected ${at * HASH_LENGTH}.`;
  return new LedgerError("bad-tree", message);
}

/**
 * The tiles that change when a tree of `from` leaves is cut back to its first `to`, with the bytes that stay of each; 0
 * where the whole tile goes.
 */
export function* cutTiles(from: number, to: number): Generator<TilePlace & { length: number }> {
  let [before, after] = [from, to];
  for (let level = 0; before > after; level += 1) {
    for (let index = Math.floor(after / TILE_WIDTH); index * TILE_WIDTH < before; index += 1)
      yield { level, index, length: Math.max(0, after - index * TILE_WIDTH) * HASH_LENGTH };
    before = Math.floor(before / TILE_WIDTH);
    after = Math.floor(after / TILE_WIDTH);
  }
}

/**
 * Reads any node of a tree that is kept in tiles. Each tile is asked for once, so a reader is for one piece of work.
 *
 * @param missing - what is thrown for a node whose tile is missing, or lacks a hash.
 */
export function nodesIn(read: TileReader, missing: (level: number, index: number) => Error): NodeReader {
  const known = new Map<number, Map<number, Uint8Array | undefined>>();
  const tileAt = (level: number, index: number): Uint8Array | undefined => {
    const ofLevel = known.get(level) ?? new Map<number, Uint8Array | undefined>();
    known.set(level, ofLevel);
    if (!ofLevel.has(index)) ofLevel.set(index, read(level, index));
    return ofLevel.get(index);
  };
  return (level, index) => {
    const place = tileOf(level, index);
    const tile = tileAt(place.level, place.index);
    const node = tile === undefined ? undefined : foldedIn(tile, place.at, level % TILE_HEIGHT);
    if (node === undefined) throw missing(level, index);
    return node;
  };
}

/** Root of the perfect subtree of 2^height leaves that begins at a place in a tile; undefined where one is missing. */
export function foldedIn(tile: Uint8Array, at: number, height: number): Buffer | undefined {
  if (height === 0) return hashIn(tile, at);
  const left = foldedIn(tile, at, height - 1);
  const right = foldedIn(tile, at + 2 ** (height - 1), height - 1);
  return left === undefined || right === undefined ? undefined : nodeHash(left, right);
}
