import { type Checkpoint, formatTreeHead, parseCheckpoint, parseTreeHead, type TreeHead } from "./checkpoint.ts";
import { LedgerError } from "./error.ts";

/** What a book was at one moment, kept outside its store; `signed` is null where the log has no key. */
export type HeadNote = Pick<TreeHead, "origin" | "size" | "root"> & { signed: Checkpoint | null };

/** The smallest unit that disks write whole, bytes. A head note fits into one, whatever its origin. */
export const HEAD_NOTE_LENGTH = 512;

/** The longest origin, in bytes: it stands in a note once, and once more in the lines of two keys that sign it. */
export const ORIGIN_MAXIMUM = 64;

/**
 * The text of a head note that no key signs: a checkpoint without signatures.
 *
 * @throws LedgerError `bad-note` for an origin that is empty, too long or has blanks, or a size that no book has.
 */
export function formatHeadNote({ origin, size, root }: Pick<HeadNote, "origin" | "size" | "root">): string {
  if (Buffer.byteLength(origin) > ORIGIN_MAXIMUM)
    throw badHeadNote(`its origin is longer than ${ORIGIN_MAXIMUM} bytes`);
  return formatTreeHead({ origin, size, root });
}

/**
 * Reads a head note: a checkpoint, or what {@link formatHeadNote} wrote. Line breaks after it are padding. Says nothing
 * of whether signatures fit.
 *
 * @throws LedgerError `bad-note` for anything else.
 */
export function parseHeadNote(text: string): HeadNote {
  const trimmed = text.replace(/\n+$/, "\n");
  const signed = trimmed.includes("\n\n") ? parseCheckpoint(trimmed) : null;
  const { origin, size, root, extensions } = signed?.head ?? parseTreeHead(trimmed);
  if (extensions.length > 0 || Buffer.byteLength(origin) > ORIGIN_MAXIMUM)
    throw badHeadNote("it has more than a book's");
  return { origin, size, root, signed };
}

function badHeadNote(why: string): LedgerError {
  return new LedgerError("bad-note", `Reading or writing a head note failed: ${why}.`);
}
