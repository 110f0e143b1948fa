import type { Book } from "../book/book.ts";
import { bookOwnEvent } from "../book/own-event.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Store } from "../store/store.ts";
import { decodeWord, WORD_KEY } from "./word.ts";

/**
 * Puts on record in a book that its store was brought to another format, once: what is told and what is left to tell
 * change in one batch. To be called before the book takes in anything else.
 *
 * @throws what {@link Book.append} throws; the next start tries again.
 */
export async function recordMigrated(o: {
  store: Pick<Store, "write" | "getNow">;
  book: Book;
  self: ServiceSelf;
  newId: () => string;
}): Promise<void> {
  const { store, book, self, newId } = o;
  const left = store.getNow(WORD_KEY);
  // A damaged book takes no record, nor does one of which others have seen more: the word that was left waits.
  if (left === undefined || book.whyShut() !== null) return;
  const { v: _v, at, ...payload } = decodeWord(left);
  await store.write((tx) => {
    tx.del(WORD_KEY);
    const event = { type: "book.migrated" as const, at, obj: { kind: "book", key: book.name }, payload };
    const recv = new Date(self.now()).toISOString();
    bookOwnEvent({ book, self, newId }, tx, recv, { result: "booked", code: null }, event);
  });
}
