import { z } from "zod";
import { Count, Instant } from "../../contracts/names.ts";
import type { Book } from "../book/book.ts";
import { bookOwnEvent } from "../book/own-event.ts";
import type { KeysOfPeople } from "../people/sealed-reason.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Store, Tx } from "../store/store.ts";
import { restoredEvent } from "./events.ts";
import type { BackupOptions } from "./service-backups.ts";

const RESTORATION_KEY = Buffer.from("s/restored");

const Restoration = z.strictObject({ event: z.string(), at: Instant, size: Count });

/** The last time that a book was restored: when, and to how many records. `event` is the id of the record that says so. */
export type Restoration = z.infer<typeof Restoration>;

/** To be written in the batch that puts it on record. */
export function noteRestoration(tx: Pick<Tx, "put">, restoration: Restoration): void {
  tx.put(RESTORATION_KEY, Buffer.from(JSON.stringify(restoration)));
}

/** Null for a book that never was. */
export function lastRestoration(store: Pick<Store, "getNow">): Restoration | null {
  const stored = store.getNow(RESTORATION_KEY);
  return stored === undefined ? null : Restoration.parse(JSON.parse(stored.toString()));
}

/**
 * Puts a restore that left word of itself on record in the book that was restored, once. To be called before the book
 * takes in anything else.
 *
 * @throws what {@link Book.append} and the keys throw; the next start tries again.
 */
export async function recordRestored(o: {
  store: Pick<Store, "write">;
  book: Book;
  self: ServiceSelf;
  personKeys: KeysOfPeople;
  backups: Pick<BackupOptions, "restored" | "onRecorded">;
}): Promise<void> {
  const { book, self } = o;
  const mark = o.backups.restored;
  // A damaged book takes no record, nor does one of which others have seen more: the word that was left waits.
  if (mark === null || book.whyShut() !== null) return;
  const { id, ...event } = await restoredEvent(mark, { tz: self.tz, keys: o.personKeys });
  const recv = new Date(self.now()).toISOString();
  const restoration: Restoration = { event: id, at: mark.at, size: mark.to?.size ?? 0 };
  await o.store.write((tx) => {
    if (book.find(id, tx) !== undefined) return;
    noteRestoration(tx, restoration);
    bookOwnEvent({ book, self, newId: () => id }, tx, recv, { result: "booked", code: null }, event);
  });
  await o.backups.onRecorded();
}
