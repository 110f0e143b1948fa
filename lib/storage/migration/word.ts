import { z } from "zod";
import { Count, Instant, Sha256Hex } from "../../contracts/names.ts";

/** Under it lies what a migration has left to be put on record. */
export const WORD_KEY: Buffer = Buffer.from("m/migrated");

const Word = z.strictObject({
  v: z.literal(1),
  /** When it was begun. */
  at: Instant,
  /** Formats of the store. */
  from: Count,
  to: Count,
  /** The backup that was made before; null where the store is itself a copy. */
  backup: z.string().nullable(),
  /** What the book was then. */
  size: Count,
  root: Sha256Hex,
});

/** What was done to a store. */
export type Word = z.infer<typeof Word>;

export function encodeWord(word: Word): Buffer {
  return Buffer.from(JSON.stringify(word));
}

/** @throws ZodError, or SyntaxError, for bytes that no migration has left. */
export function decodeWord(bytes: Buffer): Word {
  return Word.parse(JSON.parse(bytes.toString()));
}
