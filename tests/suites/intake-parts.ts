import type { Principal } from "../../lib/contracts/directory.ts";
import type { Event } from "../../lib/contracts/events.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { createIntake, type Intake } from "../../lib/storage/intake/intake.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { idOf, NOW, type Signer } from "./events.ts";

/** A book of production that books whatever can be trusted. */
export type IntakeParts = { store: Store; book: Book; intake: Intake; events: (type?: Event["type"]) => Event[] };

export async function openIntake(
  store: Store,
  o: { service: Signer; principals: readonly Principal[] },
): Promise<IntakeParts> {
  const book = await Book.open({ store, name: "production", origin: "test/production" });
  let made = 0xabc000 + book.head().size;
  const intake = createIntake({
    store,
    book,
    principalOf: (name) => o.principals.find((one) => one.name === name),
    self: {
      name: "production",
      app: "production@0.1.0",
      sign: (bytes) => sign(o.service.privateKey, bytes),
      key: o.service.key,
      tz: "America/Sao_Paulo",
      now: () => NOW,
    },
    newId: () => idOf((made += 1)),
    decide: () => ({
      added: { result: "booked", code: null, role: null, rev: null, before: null, after: null, flags: [] },
    }),
  });
  const events = (type?: Event["type"]) => {
    const all = Array.from({ length: book.head().size }, (_, seq) => book.open(seq)?.event as Event);
    return type === undefined ? all : all.filter((event) => event.type === type);
  };
  return { store, book, intake, events };
}
