import { hash } from "node:crypto";
import { HASH_LENGTH } from "./hash.ts";
import { isKept, TILE_HEIGHT, TILE_WIDTH } from "./tiles.ts";
import { RecordForms, type RecordParts } from "./record-forms.ts";
import type { SoundBlock } from "./walk.ts";

/** A pair of hashes as it is hashed: 0x01, left, right (RFC 9162 §2.1.1). */
const PAIR_LENGTH = 1 + 2 * HASH_LENGTH;

/**
 * Whether a block of records is sound: each in canonical form and in its place, linked to the one before, hashed to the
 * leaf that the tree has for it, and the stored nodes above the leaves those that follow. It says yes or no and nothing
 * else, and is quick; what is not sound is for the walk to look at.
 *
 * One object checks block after block and keeps its memory.
 */
export class BlockCheck {
  readonly #forms = new RecordForms();
  #computed: PairBuffer;
  #above: PairBuffer;
  #first = 0;
  #count = 0;
  #prev = "";
  #last = "";
  #level = 0;
  #inLevel = 0;
  #taken = 0;
  readonly #peaks: { level: number; hash: Buffer }[] = [];

  /** @param capacity - the most records that a block has; an even number. */
  constructor(capacity: number) {
    this.#computed = new PairBuffer(capacity);
    this.#above = new PairBuffer(capacity);
  }

  /** Begins a block at a record whose number is a multiple of the capacity. */
  begin(first: number): void {
    this.#first = first;
    this.#count = 0;
    this.#level = 0;
    this.#taken = 0;
    this.#peaks.length = 0;
  }

  /** Takes the next record, as text. @returns what it says; null when it is not sound. */
  addRecord(text: string): RecordParts | null {
    const parts = this.#forms.read(text);
    if (parts === null || parts.seq !== this.#first + this.#count) return null;
    if (this.#count === 0) this.#prev = parts.prev;
    else if (parts.prev !== this.#last) return null;
    // The text has no U+FFFD, so that its UTF-8 is the bytes that are stored.
    this.#last = hash("sha256", `\0${text}`, "hex");
    this.#computed.putHex(this.#count, this.#last);
    this.#count += 1;
    this.#inLevel = this.#count;
    return parts;
  }

  get records(): number {
    return this.#count;
  }

  /**
   * The tiles that have the nodes of the kept level that is compared now, as far as the block's records make nodes whole:
   * number `first` to `end` - 1 of tile level `level`. Null when there are no more.
   */
  get tilesDue(): { level: number; first: number; end: number } | null {
    if (this.#inLevel === 0) return null;
    const index = this.#first / 2 ** this.#level;
    const end = Math.ceil((index + this.#inLevel) / TILE_WIDTH);
    return { level: this.#level / TILE_HEIGHT, first: Math.floor(index / TILE_WIDTH), end };
  }

  /** Compares the next stored tile of this level. A larger block may have its end, and a book that grows more hashes. */
  addTile(tile: Uint8Array): boolean {
    const from = this.#taken === 0 ? (this.#first / 2 ** this.#level) % TILE_WIDTH : 0;
    const count = Math.min(TILE_WIDTH - from, this.#inLevel - this.#taken);
    if (tile.length % HASH_LENGTH !== 0 || tile.length < (from + count) * HASH_LENGTH) return false;
    for (let at = from; at < from + count; at += 1) {
      if (!this.#computed.has(this.#taken, tile, at * HASH_LENGTH)) return false;
      this.#taken += 1;
    }
    return true;
  }

  /** Goes up to the next level that is kept. False when not all nodes of this one have been compared with their tiles. */
  closeLevel(): boolean {
    if (this.#taken !== this.#inLevel) return false;
    do this.#goUp();
    while (!isKept(this.#level) && this.#inLevel > 0);
    this.#taken = 0;
    return true;
  }

  #goUp(): void {
    const count = this.#inLevel;
    if (count % 2 === 1) this.#peaks.unshift({ level: this.#level, hash: this.#computed.at(count - 1) });
    for (let pair = 0; pair < count >> 1; pair += 1) this.#above.putText(pair, this.#computed.hashOf(pair));
    [this.#computed, this.#above] = [this.#above, this.#computed];
    this.#level += 1;
    this.#inLevel = count >> 1;
  }

  /** The block, once records and levels have been compared. */
  sound(): SoundBlock {
    return {
      first: this.#first,
      count: this.#count,
      prev: this.#prev,
      last: this.#last,
      peaks: [...this.#peaks],
    };
  }
}

/** Hashes in the places where they are hashed in pairs, so that nothing is copied or made for that. */
class PairBuffer {
  readonly #bytes: Buffer;
  readonly #pairs: Buffer[];

  constructor(capacity: number) {
    this.#bytes = Buffer.alloc((capacity / 2) * PAIR_LENGTH);
    this.#pairs = Array.from({ length: capacity / 2 }, (_, pair) => {
      const bytes = this.#bytes.subarray(pair * PAIR_LENGTH, (pair + 1) * PAIR_LENGTH);
      bytes[0] = 0x01;
      return bytes;
    });
  }

  putHex(index: number, hex: string): void {
    this.#bytes.write(hex, placeOf(index), HASH_LENGTH, "hex");
  }

  /** @param bytes - a character for each byte: several times as quick to get as the bytes themselves. */
  putText(index: number, bytes: string): void {
    this.#bytes.write(bytes, placeOf(index), HASH_LENGTH, "latin1");
  }

  /** Whether a hash is the one that begins at a place of other bytes. */
  has(index: number, other: Uint8Array, at: number): boolean {
    const place = placeOf(index);
    return this.#bytes.compare(other, at, at + HASH_LENGTH, place, place + HASH_LENGTH) === 0;
  }

  /** A copy. */
  at(index: number): Buffer {
    return Buffer.from(this.#bytes.subarray(placeOf(index), placeOf(index) + HASH_LENGTH));
  }

  /** Node hash of a pair, a character for each byte. */
  hashOf(pair: number): string {
    return hash("sha256", this.#pairs[pair] as Buffer, "binary");
  }
}

function placeOf(index: number): number {
  return (index >> 1) * PAIR_LENGTH + 1 + (index % 2) * HASH_LENGTH;
}
