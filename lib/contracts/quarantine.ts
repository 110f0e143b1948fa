import { z } from "zod";
import { Base64, BookName, Count, Instant, Sha256Hex } from "./names.ts";

/** An event that a book could not trust, and that is kept whole beside it. */
export const QuarantineRow = z.object({
  /** Number of the record that tells of it. */
  seq: Count,
  /** When it came, by the clock of the service. */
  recv: Instant,
  /** The machine or service that sent it. */
  from: z.string(),
  /** The id that it claims, as far as one can be made out, else the SHA-256 of its bytes. */
  id: z.string(),
  code: z.string(),
  message: z.string(),
  sha256: Sha256Hex,
  bytes: Count,
  /** Number of the record that has the same id: the other half of a conflict. Null when no record has it. */
  first: Count.nullable(),
});
export type QuarantineRow = z.infer<typeof QuarantineRow>;

/** Newest first; `before` is what to ask for next, null when there is no more. */
export const QuarantinePage = z.object({ book: BookName, rows: z.array(QuarantineRow), before: Count.nullable() });

/** Bytes of a set-apart event that one answer holds at most: as base64 they fit a packet. */
export const QUARANTINE_PIECE_BYTES = 96 * 1024;

/** One such event with a piece of its bytes; `next` is where the following piece begins, null after the last. */
export const QuarantinePiece = z.object({ row: QuarantineRow, piece: Base64, next: Count.nullable() });
