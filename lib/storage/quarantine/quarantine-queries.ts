import { RastroError } from "../../contracts/errors.ts";
import type { EventType } from "../../contracts/events.ts";
import type { RequestOf, ResponseOf } from "../../contracts/operations.ts";
import { QUARANTINE_PIECE_BYTES, type QuarantineRow } from "../../contracts/quarantine.ts";
import type { Book } from "../book/book.ts";
import { keys, QUARANTINE, readU64 } from "../keys.ts";
import { idOfBytes } from "./quarantine.ts";
import type { Store } from "../store/store.ts";

type QuarantineOperation = "quarantine-list" | "quarantine-show";

/** The handlers of the operations on what a book has set apart; the bodies are those of `contracts/operations/book.ts`. */
export type QuarantineQueries = {
  [O in QuarantineOperation]: (body: RequestOf<"audit", O>) => Promise<ResponseOf<"audit", O>>;
};

/** As much of the record as is used: the book's own service wrote it (quarantine.ts). */
type QuarantinedEvent = {
  type: EventType;
  payload: Record<"from" | "code" | "message" | "sha256", string>;
};

/** What is set apart lies under the hash of its bytes; `seq` is the record that tells of it. */
type Found = { seq: number; digest: Buffer };

export function quarantineQueries(o: {
  store: Pick<Store, "get" | "range">;
  book: Pick<Book, "name" | "open" | "find">;
}): QuarantineQueries {
  async function rowOf({ seq, digest }: Found): Promise<{ row: QuarantineRow; bytes: Buffer }> {
    const value = await o.store.get(keys.quarantine(digest));
    const record = o.book.open(seq);
    if (value === undefined || record === undefined) throw nothing(o.book.name, String(seq));
    const bytes = value.subarray(8);
    const { payload } = record.event as QuarantinedEvent;
    const id = idOfBytes(bytes) ?? digest.toString("hex");
    const row: QuarantineRow = {
      seq,
      recv: record.recv,
      from: payload.from,
      id,
      code: payload.code,
      message: payload.message,
      sha256: digest.toString("hex"),
      bytes: bytes.length,
      first: o.book.find(id) ?? null,
    };
    return { row, bytes };
  }

  /** @param before - only what is told of by a record before this one. */
  async function newest(limit: number, before: number, id: string | null): Promise<Found[]> {
    const page: Found[] = [];
    // By the hash, so that all of it is looked through; only a page of it is held.
    for await (const [key, value] of o.store.range(QUARANTINE)) {
      const seq = readU64(value);
      const tooOld = page.length === limit && seq < (page.at(-1)?.seq ?? 0);
      if (seq >= before || tooOld || (id !== null && idOfBytes(value.subarray(8)) !== id)) continue;
      page.push({ seq, digest: key.subarray(1) });
      page.sort((one, other) => other.seq - one.seq);
      if (page.length > limit) page.pop();
    }
    return page;
  }

  async function find(wanted: { seq: number } | { sha256: string }): Promise<Found> {
    if ("sha256" in wanted) {
      const digest = Buffer.from(wanted.sha256, "hex");
      const value = await o.store.get(keys.quarantine(digest));
      if (value === undefined) throw nothing(o.book.name, wanted.sha256);
      return { seq: readU64(value), digest };
    }
    const event = o.book.open(wanted.seq)?.event as QuarantinedEvent | undefined;
    if (event?.type !== "event.quarantined") throw nothing(o.book.name, String(wanted.seq));
    return { seq: wanted.seq, digest: Buffer.from(event.payload.sha256, "hex") };
  }

  return {
    async "quarantine-list"({ limit, before, id }) {
      const page = await newest(limit, before ?? Number.MAX_SAFE_INTEGER, id);
      const rows = await Promise.all(page.map(async (found) => (await rowOf(found)).row));
      return { book: o.book.name, rows, before: page.length < limit ? null : (page.at(-1)?.seq ?? null) };
    },
    async "quarantine-show"({ offset, ...wanted }) {
      const { row, bytes } = await rowOf(await find(wanted));
      const end = offset + QUARANTINE_PIECE_BYTES;
      const piece = bytes.subarray(offset, end).toString("base64");
      return { row, piece, next: end < bytes.length ? end : null };
    },
  };
}

function nothing(book: string, given: string): RastroError {
  return new RastroError({
    code: "unknown_record",
    message: `Looking up ${given} in the quarantine of the book ${book} failed: nothing is set apart under it.`,
    given,
    expected: "the number of a record event.quarantined, or the SHA-256 of what was set apart",
  });
}
