import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Book } from "../../lib/storage/book.ts";
import { makeServiceEvent, type ServiceSelf } from "../../lib/storage/service-event.ts";
import type { Store } from "../../lib/storage/store.ts";

/**
 * Books what the audit service itself did or found, without an outbox: it owns the book. On disk when it resolves.
 *
 * @throws RastroError `book_damaged`, `store_unusable`.
 */
export type BookOwnAct = (draft: EventDraft) => Promise<void>;

export function createOwnActs(o: {
  store: Pick<Store, "write">;
  book: Pick<Book, "append">;
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
    return o.store.write((tx) => void o.book.append(tx, record, event.id, text));
  };
}
