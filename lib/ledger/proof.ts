import { EMPTY_ROOT, HASH_LENGTH, nodeHash } from "./hash.ts";

/*
 * Verification of proofs. Sizes may be bigint: logs of others count up to 2^64 - 1.
 */

/** Tree sizes are unsigned 64-bit numbers (RFC 9162 §4.1). */
const MAXIMUM_SIZE = 2n ** 64n - 1n;

export type InclusionProof = {
  seq: bigint | number;
  size: bigint | number;
  leaf: Uint8Array;
  path: readonly Uint8Array[];
  root: Uint8Array;
};

/**
 * Whether `path` proves that `leaf` is number `seq` of the `size` leaves under `root` (RFC 9162 §2.1.3.2). False for
 * a hash that is not 32 bytes long or a number that is no whole number of 0 to 2^64 - 1; never throws.
 */
export function verifyInclusion(proof: InclusionProof): boolean {
  const seq = toSize(proof.seq);
  const size = toSize(proof.size);
  if (seq === null || size === null || seq >= size) return false;
  if (![proof.leaf, proof.root, ...proof.path].every(isHash)) return false;
  let at = seq;
  let last = size - 1n;
  let hash = proof.leaf;
  for (const sibling of proof.path) {
    if (last === 0n) return false;
    if (isOdd(at) || at === last) {
      hash = nodeHash(sibling, hash);
      [at, last] = skipLevelsWithoutSibling(at, last);
    } else {
      hash = nodeHash(hash, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n && equal(hash, proof.root);
}

export type ConsistencyProof = {
  first: bigint | number;
  second: bigint | number;
  firstRoot: Uint8Array;
  secondRoot: Uint8Array;
  path: readonly Uint8Array[];
};

/**
 * Whether `path` proves that the tree of `first` leaves is a beginning of the tree of `second` (RFC 9162 §2.1.4.2).
 * Two trees of one size are consistent when their roots are equal, and the empty tree begins every tree; both with
 * an empty path. Never throws.
 */
export function verifyConsistency(proof: ConsistencyProof): boolean {
  const first = toSize(proof.first);
  const second = toSize(proof.second);
  if (first === null || second === null || first > second) return false;
  if (![proof.firstRoot, proof.secondRoot, ...proof.path].every(isHash)) return false;
  if (first === second) return proof.path.length === 0 && equal(proof.firstRoot, proof.secondRoot);
  if (first === 0n) return proof.path.length === 0 && equal(proof.firstRoot, EMPTY_ROOT);
  return leadsToBothRoots(first, second, proof);
}

function leadsToBothRoots(first: bigint, second: bigint, proof: ConsistencyProof): boolean {
  if (proof.path.length === 0) return false;
  const [start, ...rest] = isPowerOfTwo(first) ? [proof.firstRoot, ...proof.path] : proof.path;
  let at = first - 1n;
  let last = second - 1n;
  while (isOdd(at)) {
    at >>= 1n;
    last >>= 1n;
  }
  let firstHash = start as Uint8Array;
  let secondHash = firstHash;
  for (const node of rest) {
    if (last === 0n) return false;
    if (isOdd(at) || at === last) {
      firstHash = nodeHash(node, firstHash);
      secondHash = nodeHash(node, secondHash);
      [at, last] = skipLevelsWithoutSibling(at, last);
    } else {
      secondHash = nodeHash(secondHash, node);
    }
    at >>= 1n;
    last >>= 1n;
  }
  return last === 0n && equal(firstHash, proof.firstRoot) && equal(secondHash, proof.secondRoot);
}

/** At the right edge a node without a right neighbour moves up unhashed until it is a right child. */
function skipLevelsWithoutSibling(at: bigint, last: bigint): [bigint, bigint] {
  let [a, l] = [at, last];
  while (!isOdd(a) && a !== 0n) {
    a >>= 1n;
    l >>= 1n;
  }
  return [a, l];
}

function toSize(value: bigint | number): bigint | null {
  if (typeof value === "number" && !Number.isSafeInteger(value)) return null;
  const size = BigInt(value);
  return size >= 0n && size <= MAXIMUM_SIZE ? size : null;
}

function isOdd(value: bigint): boolean {
  return (value & 1n) === 1n;
}

function isPowerOfTwo(value: bigint): boolean {
  return (value & (value - 1n)) === 0n;
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_LENGTH;
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
