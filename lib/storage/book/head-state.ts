import { HASH_LENGTH } from "../../ledger/hash.ts";
import { EMPTY_RANGE, type Range } from "../../ledger/tree.ts";
import { type Cell, cellAt } from "../store/group.ts";
import { HEAD_KEY, readU64, writeU64 } from "../keys.ts";

/** What `m/head` holds: all that is needed to append the next record. `tip` is the leaf of the last one. */
export type HeadState = { range: Range; tip: Buffer | null };

export const EMPTY_HEAD: HeadState = { range: EMPTY_RANGE, tip: null };

/** u64 size, tip, then the hashes of the compact range, largest subtree first. */
export function encodeHead(state: HeadState): Buffer {
  const { range, tip } = state;
  const bytes = Buffer.allocUnsafe(8 + HASH_LENGTH * (1 + range.hashes.length));
  writeU64(bytes, range.size, 0);
  bytes.set(tip ?? Buffer.alloc(HASH_LENGTH), 8);
  for (const [index, hash] of range.hashes.entries()) bytes.set(hash, 8 + HASH_LENGTH * (1 + index));
  return bytes;
}

/** Null when the bytes are no head: a length or a count of hashes that does not fit the size. */
export function decodeHead(bytes: Buffer | undefined): HeadState | null {
  if (bytes === undefined) return EMPTY_HEAD;
  if (bytes.length < 8 + HASH_LENGTH || bytes.length % HASH_LENGTH !== 8 || bytes.readUInt16BE() > 0x1f) return null;
  const size = readU64(bytes);
  const hashes: Buffer[] = [];
  for (let at = 8 + HASH_LENGTH; at < bytes.length; at += HASH_LENGTH)
    hashes.push(bytes.subarray(at, at + HASH_LENGTH));
  if (size === 0 || hashes.length !== onesOf(size)) return null;
  return { range: { size, hashes }, tip: bytes.subarray(8, 8 + HASH_LENGTH) };
}

/** The head as stages share it; null where its bytes are no head. */
export const HEAD: Cell<HeadState | null> = cellAt(HEAD_KEY, {
  decode: decodeHead,
  encode: (state) => (state === null ? Buffer.alloc(0) : encodeHead(state)),
});

function onesOf(value: number): number {
  let ones = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}
