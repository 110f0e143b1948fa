import { LOCAL_ADMIN } from "../../contracts/directory.ts";
import type { PromotionMark } from "../../contracts/standby.ts";
import { noteRestoration } from "../backup/restored-book.ts";
import type { Book } from "../book/book.ts";
import { bookOwnEvent } from "../book/own-event.ts";
import { type KeysOfPeople, sealReason } from "../people/sealed-reason.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Store } from "../store/store.ts";

/** What a standby's copy left that was put in a book's place, and what is done once that is on record. */
export type Promoted = { mark: PromotionMark | null; onRecorded: () => Promise<void> };

/**
 * Puts it on record in a book that it is a standby's copy of what was there, once. To be called before the book takes in
 * anything else.
 *
 * @throws what {@link Book.append} and the keys throw; the next start tries again.
 */
export async function recordPromoted(o: {
  store: Pick<Store, "write">;
  book: Book;
  self: ServiceSelf;
  personKeys: KeysOfPeople;
  promoted: Promoted;
}): Promise<void> {
  const { book, self } = o;
  const { mark, onRecorded } = o.promoted;
  // A damaged book takes no record, nor does one of which others have seen more: the word that was left waits.
  if (mark === null || book.whyShut() !== null) return;
  const { event: id, act, at, size, root, known, lacking, by } = mark;
  const holder = await o.personKeys.of(LOCAL_ADMIN);
  const text = holder === null ? null : sealReason(holder.key, LOCAL_ADMIN, `${mark.reason} (${by})`, id);
  const event = {
    type: "book.promoted" as const,
    at,
    actor: { sub: LOCAL_ADMIN, auth: "local" as const },
    obj: { kind: "book", key: book.name },
    reason: { code: act === "promoted" ? "STANDBY_PROMOTED" : "STANDBY_RESTORED", text },
    payload: { act, size, root, known, older: known > size, lacking },
  };
  await o.store.write((tx) => {
    if (book.find(id, tx) !== undefined) return;
    const recv = new Date(self.now()).toISOString();
    // What is booked again tells audit so under another id: it may have been told of the first time.
    noteRestoration(tx, { event: id, at, size });
    bookOwnEvent({ book, self, newId: () => id }, tx, recv, { result: "booked", code: null }, event);
  });
  await onRecorded();
}
