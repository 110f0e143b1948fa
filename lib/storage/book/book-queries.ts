import type { BookRecord } from "../../contracts/book.ts";
import { RastroError } from "../../contracts/errors.ts";
import type { RequestOf, ResponseOf } from "../../contracts/operations.ts";
import type { Book } from "./book.ts";

type BookOperation = "book-head" | "book-record" | "book-proof" | "book-tail" | "book-range" | "book-verify";

/** The handlers of the operations that every book answers; the bodies are those of `contracts/operations/book.ts`. */
export type BookQueries = {
  [O in BookOperation]: (body: RequestOf<"audit", O>) => Promise<ResponseOf<"audit", O>>;
};

/** @param o.keyOf - raw public key of a name, null when it is not known. */
export function bookQueries(book: Book, o: { keyOf: (name: string) => Uint8Array | null }): BookQueries {
  return {
    "book-head": async () => book.head(),
    "book-record": async (body) => {
      const seq = seqOf(book, body);
      return book.record(seq) ?? unknownRecord(book, String(seq));
    },
    "book-proof": async (body) => book.prove(seqOf(book, body)),
    "book-tail": async ({ limit, before }) => {
      const head = book.head();
      const first = Math.min(before ?? head.size, head.size) - 1;
      return { head, records: readTail(book, first, limit) };
    },
    "book-range": async ({ from, limit }) => ({ head: book.head(), records: readRange(book, from, limit) }),
    "book-verify": async ({ from }) => book.verify({ ...o, from }),
  };
}

function seqOf(book: Book, body: { seq: number } | { id: string }): number {
  if ("seq" in body) return body.seq;
  return book.find(body.id) ?? unknownRecord(book, body.id);
}

/** Length of one answer's records as JSON: with what stands around them it is less than what an answer may have. */
const RANGE_LENGTH = 240_000;
/** What number, leaf and the names of the members add to a record's bytes in base64. */
const AROUND_RECORD = 128;

/**
 * Oldest first. Ends before a damaged record, and throws where it would begin with one: whoever copies a book must not
 * pass over any.
 */
function readRange(book: Book, from: number, limit: number): BookRecord[] {
  const records: BookRecord[] = [];
  let length = 0;
  for (let seq = from; records.length < limit; seq += 1) {
    const record = records.length === 0 ? book.record(seq) : readSound(book, seq);
    if (record === undefined) break;
    length += record.bytes.length + AROUND_RECORD;
    if (records.length > 0 && length > RANGE_LENGTH) break;
    records.push(record);
  }
  return records;
}

/** Newest first. Damaged records are passed over, which their numbers show; a verification names them. */
function readTail(book: Book, first: number, limit: number): BookRecord[] {
  const records: BookRecord[] = [];
  for (let seq = first; seq >= 0 && records.length < limit; seq -= 1) {
    const record = readSound(book, seq);
    if (record !== undefined) records.push(record);
  }
  return records;
}

function readSound(book: Book, seq: number): BookRecord | undefined {
  try {
    return book.record(seq);
  } catch (thrown) {
    if (thrown instanceof RastroError && thrown.code === "book_damaged") return undefined;
    throw thrown;
  }
}

function unknownRecord(book: Book, given: string): never {
  const message = `Looking up record ${given} of the book ${book.name} failed: the book has no such record.`;
  throw new RastroError({ code: "unknown_record", message, given });
}
