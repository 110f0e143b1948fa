import type { Book } from "../../lib/storage/book/book.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Restoration } from "../../lib/storage/backup/restored-book.ts";
import { announcementOf } from "./announce.ts";
import { foldRecord } from "./fold.ts";
import { markFolded } from "./rebuild.ts";

/**
 * What goes with every record of the book of production, whoever asked for it and whether it was booked, refused or
 * set apart: the views are brought up to it, and what audit is told of it goes into the outbox. All of it is one batch
 * with the record, so that a crash leaves all or nothing.
 */
export function followRecords(o: {
  book: Pick<Book, "onAppend">;
  outbox: Pick<Outbox, "stage">;
  /** When the book was last restored; asked for each record. */
  restoration?: () => Restoration | null;
}): void {
  o.book.onAppend((tx, booked, record) => {
    foldRecord(tx, booked, record);
    markFolded(tx, booked.seq + 1);
    o.outbox.stage(tx, announcementOf(booked, record, o.restoration?.() ?? null));
  });
}
