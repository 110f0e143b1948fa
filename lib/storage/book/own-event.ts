import type { RecordAdded } from "../../ledger/record.ts";
import type { Book } from "./book.ts";
import { makeServiceEvent, type ServiceEventInput, type ServiceSelf } from "./service-event.ts";
import type { Tx } from "../store/store.ts";

/**
 * Books what a service itself found out, in one step.
 *
 * @param recv - an instant.
 * @throws as {@link Book.append}.
 */
export function bookOwnEvent(
  o: { book: Book; self: ServiceSelf; newId: () => string },
  tx: Tx,
  recv: string,
  added: Pick<RecordAdded, "result" | "code">,
  input: Omit<ServiceEventInput, "id">,
): { seq: number; leaf: string } {
  const made = makeServiceEvent(o.self, { ...input, id: o.newId() });
  const record = {
    recv,
    event: made.event,
    sig: made.sig,
    via: { kind: "internal" as const, name: o.self.name, session: null },
    added: { role: "service", rev: null, before: null, after: null, flags: [], ...added },
  };
  return o.book.append(tx, record, made.event.id, made.text);
}
