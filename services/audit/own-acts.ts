import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event, EventDraft } from "../../lib/contracts/events.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import { makeServiceEvent, type ServiceSelf } from "../../lib/storage/book/service-event.ts";
import type { Store } from "../../lib/storage/store/store.ts";

/**
 * Books what the audit service itself did or found, without an outbox: it owns the book. On disk when it resolves.
 *
 * @throws RastroError `id_conflict` for an id that the book has already, `book_damaged`, `store_unusable`.
 */
export type BookOwnAct = (draft: EventDraft) => Promise<void>;

export function createOwnActs(o: {
  store: Pick<Store, "write">;
  book: Pick<Book, "append" | "find">;
  self: ServiceSelf;
  roleOf: (sub: string) => string | null;
}): BookOwnAct {
  return (draft) => {
    const { event, text, sig } = makeServiceEvent(o.self, draft);
    const record = {
      recv: new Date(o.self.now()).toISOString(),
      event,
      sig,
      via: { kind: "internal" as const, name: o.self.name, session: null },
      added: {
        result: "booked" as const,
        code: null,
        role: o.roleOf(event.actor.sub),
        rev: null,
        before: null,
        after: null,
        flags: [],
      },
    };
    return o.store.write((tx) => {
      // Some ids are made by whoever asks, and a book has each once.
      if (o.book.find(event.id, tx) !== undefined) throw idTaken(event);
      o.book.append(tx, record, event.id, text);
    });
  };
}

function idTaken({ id, type }: Event): RastroError {
  const message = `Booking ${type} failed: the book has a record of the id ${id} already; ask again with a new one.`;
  return new RastroError({ code: "id_conflict", message, field: "event", given: id });
}
