import { LedgerError } from "./error.ts";
import { EMPTY_ROOT, nodeHash } from "./hash.ts";

/**
 * What has to be remembered of a tree to append to it: the roots of the perfect subtrees that the binary digits of
 * `size` name, largest first (a "compact range").
 */
export type Range = { size: number; hashes: Buffer[] };

/** Root of the perfect subtree over the 2^level leaves that begin at index × 2^level. */
export type Node = { level: number; index: number; hash: Buffer };

/** Looks a node up; throws when it is not there. */
export type NodeReader = (level: number, index: number) => Buffer;

export const EMPTY_RANGE: Range = { size: 0, hashes: [] };

/** Adds a leaf hash. `completed` are the perfect subtrees that are whole from now on, the leaf itself first. */
export function appendLeaf(range: Range, leaf: Buffer): { range: Range; completed: Node[] } {
  return growRange(range, 0, leaf);
}

/**
 * Adds all leaves of a perfect subtree by its root alone.
 *
 * @throws LedgerError `bad-tree` where no subtree of this level can begin.
 */
export function appendSubtree(range: Range, level: number, root: Buffer): Range {
  const width = 2 ** level;
  if (range.size % width !== 0 || !Number.isSafeInteger(range.size + width)) {
    throw new LedgerError("bad-tree", `Adding a subtree of ${width} leaves failed: none begins at ${range.size}.`);
  }
  return growRange(range, level, root).range;
}

/** As {@link appendSubtree}, which it does not check for; tells the subtrees that are whole from now on, as {@link appendLeaf}. */
export function growRange(range: Range, level: number, root: Buffer): { range: Range; completed: Node[] } {
  const hashes = [...range.hashes];
  let hash = root;
  let index = range.size / 2 ** level;
  const completed: Node[] = [{ level, index, hash }];
  for (let above = level + 1; index % 2 === 1; above += 1) {
    hash = nodeHash(hashes.pop() as Buffer, hash);
    index = (index - 1) / 2;
    completed.push({ level: above, index, hash });
  }
  hashes.push(hash);
  return { range: { size: range.size + 2 ** level, hashes }, completed };
}

/** The fewest perfect subtrees that cover the leaves `from` to `to` - 1, in the order of the leaves: each the largest. */
export function subtreesOf(from: number, to: number): { level: number; index: number }[] {
  const subtrees: { level: number; index: number }[] = [];
  for (let at = from; at < to;) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= to) level += 1;
    subtrees.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return subtrees;
}

/** Merkle tree hash over all leaves of the range (RFC 9162 §2.1.1). */
export function rootOf(range: Range): Buffer {
  return range.hashes.length === 0 ? EMPTY_ROOT : range.hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** The compact range over the first `size` leaves, from stored nodes. */
export function rangeOf(size: number, node: NodeReader): Range {
  const hashes: Buffer[] = [];
  let begin = 0;
  while (begin < size) {
    const level = floorLog2(size - begin);
    hashes.push(node(level, begin / 2 ** level));
    begin += 2 ** level;
  }
  return { size, hashes };
}

/** Audit path of the leaf `seq` in the tree over the first `size` leaves, nearest first (RFC 9162 §2.1.3.1). */
export function inclusionPath(seq: number, size: number, node: NodeReader): Buffer[] {
  if (seq < 0 || seq >= size) throw new RangeError(`no leaf ${seq} in a tree of ${size}`);
  const path: Buffer[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin);
    if (seq < middle) {
      path.push(subtreeRoot(middle, end, node));
      end = middle;
    } else {
      path.push(subtreeRoot(begin, middle, node));
      begin = middle;
    }
  }
  return path.toReversed();
}

/** Proof that the tree of `first` leaves is a beginning of the tree of `second` (RFC 9162 §2.1.4.1). */
export function consistencyPath(first: number, second: number, node: NodeReader): Buffer[] {
  if (first < 0 || first > second) throw new RangeError(`no tree of ${first} within a tree of ${second}`);
  if (first === 0 || first === second) return [];
  const path: Buffer[] = [];
  let begin = 0;
  let end = second;
  while (end !== first) {
    const middle = begin + splitOf(end - begin);
    if (first <= middle) {
      path.push(subtreeRoot(middle, end, node));
      end = middle;
    } else {
      path.push(subtreeRoot(begin, middle, node));
      begin = middle;
    }
  }
  // The verifier holds the root of a first tree that is one perfect subtree, so it is not sent.
  if (begin > 0) path.push(subtreeRoot(begin, end, node));
  return path.toReversed();
}

/** Root over the leaves begin to end - 1, where begin is a place at which RFC 9162 splits. */
function subtreeRoot(begin: number, end: number, node: NodeReader): Buffer {
  const width = end - begin;
  const level = floorLog2(width);
  if (2 ** level === width) return node(level, begin / width);
  const middle = begin + 2 ** level;
  return nodeHash(node(level, begin / 2 ** level), subtreeRoot(middle, end, node));
}

/** The largest power of two below `width`. */
function splitOf(width: number): number {
  return 2 ** floorLog2(width - 1);
}

/** Exact for every safe integer, where Math.log2 rounds near powers of two. */
function floorLog2(value: number): number {
  return value < 2 ** 31 ? 31 - Math.clz32(value) : 31 + floorLog2(Math.floor(value / 2 ** 31));
}
