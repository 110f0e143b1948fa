import type { LedgerRecord } from "../../lib/ledger/record.ts";
import type { AppendInput, Book } from "../../lib/storage/book.ts";
import type { Outbox } from "../../lib/storage/outbox.ts";
import type { Tx } from "../../lib/storage/store.ts";
import { announcementOf } from "./announce.ts";
import type { Booked } from "./entry-state.ts";
import { foldRecord } from "./fold.ts";
import { markFolded } from "./rebuild.ts";

export type Recorder = {
  /**
   * Appends a record, brings the views up to it and puts what audit is told of it into the outbox: three writes of
   * one batch, so that a crash leaves all of them or none. Nothing may be answered before the batch is on disk.
   */
  record(tx: Tx, input: AppendInput, id: string, eventText?: string): Booked;
  /** The last two steps alone, for a record that the intake of lib/storage has appended in the same stage. */
  follow(tx: Tx, booked: Booked, record: Pick<LedgerRecord, "recv" | "event" | "added">): void;
};

export function createRecorder(o: { book: Pick<Book, "append">; outbox: Pick<Outbox, "stage"> }): Recorder {
  const follow: Recorder["follow"] = (tx, booked, record) => {
    foldRecord(tx, booked, record);
    markFolded(tx, booked.seq + 1);
    o.outbox.stage(tx, announcementOf(booked, record));
  };
  return {
    follow,
    record(tx, input, id, eventText) {
      const booked = o.book.append(tx, input, id, eventText);
      follow(tx, booked, input);
      return booked;
    },
  };
}
