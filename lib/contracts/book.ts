import { z } from "zod";
import { Base64, BookName, Count, Instant, Sha256Hex } from "./names.ts";

/** How large a book is and the Merkle root over all its records (RFC 9162 §2.1.1). */
export const BookHead = z.object({ book: BookName, origin: z.string(), size: Count, root: Sha256Hex });
export type BookHead = z.infer<typeof BookHead>;

/** A record as a reader gets it: `bytes` is what was hashed, exactly. */
export const BookRecord = z.object({ seq: Count, leaf: Sha256Hex, bytes: Base64 });
export type BookRecord = z.infer<typeof BookRecord>;

/** A record with what proves that it is in the book of `head` (RFC 9162 §2.1.3). Hashes in hexadecimal, nearest first. */
export const BookProof = z.object({ record: BookRecord, head: BookHead, path: z.array(Sha256Hex) });
export type BookProof = z.infer<typeof BookProof>;

/**
 * What is wrong with one place of a book: `altered` bytes that do not hash to the tree's leaf, `missing` no bytes,
 * `reordered` the whole bytes of another record, `broken-chain` a record whose prev or seq does not continue the one
 * before, `not-canonical` bytes that are no record, `truncated` the head note knows of records that the store has not,
 * `forked` the head note names another root for the same records, `unsigned` nobody signed although the sender has a
 * key, `bad-signature` the signature does not fit, `index` a tree node or id that does not fit the records.
 */
export const DamageKind = z.enum([
  "altered",
  "missing",
  "reordered",
  "broken-chain",
  "not-canonical",
  "truncated",
  "forked",
  "unsigned",
  "bad-signature",
  "index",
]);
export type DamageKind = z.infer<typeof DamageKind>;

export const Damage = z.object({
  seq: Count,
  kind: DamageKind,
  /** The store's key in hexadecimal. */
  key: z.string(),
  expected: z.string(),
  found: z.string(),
});
export type Damage = z.infer<typeof Damage>;

/** The answer of `book-verify`. At most 1,000 damages are named; `damagedCount` counts all. */
export const VerifyReport = z.object({
  ok: z.boolean(),
  book: BookName,
  /** The first record that was read; what lies before it was taken from the tree. */
  from: Count,
  size: Count,
  root: Sha256Hex,
  damaged: z.array(Damage),
  damagedCount: Count,
  signatures: z.object({ checked: Count, unsigned: Count, unknownKey: Count }),
  startedAt: Instant,
  tookMs: Count,
});
export type VerifyReport = z.infer<typeof VerifyReport>;

/** What is retained on `books/<book>/rotations`: the notes by which the log's keys handed over, the oldest first. */
export const LogRotations = z.strictObject({ v: z.literal(1), rotations: z.array(z.string().max(4096)).max(1000) });
export type LogRotations = z.infer<typeof LogRotations>;
