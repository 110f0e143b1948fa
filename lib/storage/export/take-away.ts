import { RastroError } from "../../contracts/errors.ts";
import type { RequestOf, ResponseOf } from "../../contracts/operations.ts";
import { inclusionPath } from "../../ledger/tree.ts";
import { bestCheckpoint } from "../book/best-checkpoint.ts";
import type { Book } from "../book/book.ts";
import { createExports, type ExportHandlers, type ExportOptions } from "./book-export.ts";
import type { Store } from "../store/store.ts";
import { storedNodes } from "../book/stored-tiles.ts";

/** An export may lack what was booked within this time before the newest checkpoint, ms: for one that more have signed. */
const EXPORT_BEHIND_MS = 10_000;

export type TakeAwayHandlers = ExportHandlers & {
  "book-prove": (body: RequestOf<"audit", "book-prove">) => Promise<ResponseOf<"audit", "book-prove">>;
};

/** The handlers of what somebody takes out of the plant to check it elsewhere: exports, and proofs of single records. */
export function takeAway(
  o: Omit<ExportOptions, "checkpoint" | "book" | "store"> & {
    store: Pick<Store, "getMany" | "getNow" | "range">;
    book: Pick<Book, "name" | "head" | "find" | "record">;
  },
): TakeAwayHandlers {
  const { store, book } = o;

  function missing(level: number, index: number): RastroError {
    const message = `Proving from the book ${book.name} failed: node ${index} of level ${level} is missing. Keep a copy of the folder and run a verification.`;
    return new RastroError({ code: "book_damaged", message });
  }

  return {
    ...createExports({
      ...o,
      checkpoint: async () => (await bestCheckpoint(store, { covers: 0, withinMs: EXPORT_BEHIND_MS }))?.note ?? null,
    }),
    async "book-prove"(which) {
      const seq = "seq" in which ? which.seq : book.find(which.id);
      const record = seq === undefined ? undefined : book.record(seq);
      if (record === undefined) throw unknownRecord(book.name, "seq" in which ? String(which.seq) : which.id);
      const best = await bestCheckpoint(store, { covers: record.seq + 1, withinMs: Number.POSITIVE_INFINITY });
      if (best === null) throw notCovered(book.name, record.seq);
      const path = inclusionPath(record.seq, best.checkpoint.head.size, storedNodes(store, missing));
      return { record, path: path.map((hash) => hash.toString("hex")), checkpoint: best.note };
    },
  };
}

function unknownRecord(book: string, given: string): RastroError {
  const message = `Proving record ${given} of the book ${book} failed: the book has no such record.`;
  return new RastroError({ code: "unknown_record", message, given });
}

function notCovered(book: string, seq: number): RastroError {
  const message = `Proving record ${seq} of the book ${book} failed: no checkpoint covers it yet; one does within seconds while the book takes records.`;
  return new RastroError({ code: "no_checkpoint", message, given: String(seq) });
}
