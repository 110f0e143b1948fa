import { LedgerError } from "./error.ts";
import { HASH_LENGTH } from "./hash.ts";

/** What a book was at one moment, kept outside its store. */
export type HeadNote = { origin: string; size: number; root: Buffer };

/** The longest origin, in bytes: a note with it stays far below one disk sector. */
export const ORIGIN_MAXIMUM = 255;

/**
 * The body of a C2SP tlog-checkpoint: origin, size in decimal and root in base64, a line each.
 *
 * @throws LedgerError `bad-note` for an origin that is empty, too long or has a line break, or a size that no book has.
 */
export function formatHeadNote(note: HeadNote): string {
  if (!isOrigin(note.origin) || !Number.isSafeInteger(note.size) || note.size < 0 || note.root.length !== HASH_LENGTH) {
    throw new LedgerError("bad-note", `Writing the head note of "${note.origin}" at size ${note.size} failed.`);
  }
  return `${note.origin}\n${note.size}\n${note.root.toString("base64")}\n`;
}

/**
 * Reads what {@link formatHeadNote} wrote. Line breaks after it are padding.
 *
 * @throws LedgerError `bad-note` for anything else.
 */
export function parseHeadNote(text: string): HeadNote {
  const [origin, size, root, ...rest] = text.split("\n");
  const note = {
    origin: origin ?? "",
    size: /^(?:0|[1-9]\d{0,15})$/.test(size ?? "") ? Number(size) : -1,
    root: Buffer.from(root ?? "", "base64"),
  };
  const isWhole = rest.length > 0 && rest.every((line) => line === "");
  if (
    !isWhole ||
    !isOrigin(note.origin) ||
    note.root.toString("base64") !== root ||
    !text.startsWith(formatHeadNote(note))
  ) {
    throw new LedgerError(
      "bad-note",
      "Reading a head note failed: expected origin, size and root in base64, a line each.",
    );
  }
  return note;
}

function isOrigin(origin: string): boolean {
  return origin.length > 0 && Buffer.byteLength(origin) <= ORIGIN_MAXIMUM && !/\s/u.test(origin);
}
