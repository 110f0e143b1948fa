import { RastroError } from "../../contracts/errors.ts";
import type { Event } from "../../contracts/events.ts";
import type { RequestOf, ResponseOf } from "../../contracts/operations.ts";
import type { PersonRecords } from "../../contracts/privacy.ts";
import { leafHash } from "../../ledger/hash.ts";
import { LedgerError } from "../../ledger/error.ts";
import { openRecord } from "../../ledger/record.ts";
import type { Book } from "../book/book.ts";
import { readU64, RECORDS } from "../keys.ts";
import { sealedIn } from "./personal.ts";
import type { Store } from "../store/store.ts";

type Asking = { sub: string; profile: string };
type OnProgress = (done: number, of: number) => void;
type Row = PersonRecords["records"][number];

export type PersonRecordsHandler = {
  "person-records": (
    body: RequestOf<"audit", "person-records">,
    caller: Asking,
    report: OnProgress,
  ) => Promise<ResponseOf<"audit", "person-records">>;
};

/**
 * What a book has of a person: how many records of which kind, from when to when, and which of their fields are sealed
 * under the person's key. The whole book is read for it; a record that does not name the id is passed over unparsed.
 */
export function personRecordsHandler(o: {
  store: Pick<Store, "range">;
  book: Pick<Book, "name" | "head" | "leafAt">;
}): PersonRecordsHandler {
  return {
    async "person-records"({ sub }, caller, report) {
      requireSelfOrAdministrator(caller, sub);
      const { size } = o.book.head();
      const named = Buffer.from(`"${sub}"`);
      const found = new Map<string, Row>();
      for await (const [key, bytes] of o.store.range(RECORDS)) {
        const seq = readU64(key, 1);
        if (seq % PROGRESS_EVERY === 0) report(seq, size);
        // What does not hash to its leaf says nothing of anybody; a verification names it.
        if (bytes.includes(named) && leafHash(bytes).toString("hex") === o.book.leafAt(seq))
          note(found, sub, seq, bytes);
      }
      const records = [...found.values()].toSorted((one, other) => one.first.seq - other.first.seq);
      return { book: o.book.name, size, records };
    },
  };
}

const PROGRESS_EVERY = 1000;

function note(found: Map<string, Row>, sub: string, seq: number, bytes: Buffer): void {
  const event = eventIn(bytes);
  if (event === null) return;
  const as = event.actor.sub === sub ? "actor" : event.obj.key === sub ? "object" : "named";
  const place = { seq, at: event.at };
  const key = `${as} ${event.type}`;
  const row = found.get(key) ?? { type: event.type, as, count: 0, first: place, last: place, sealed: [] };
  const sealed = [...new Set([...row.sealed, ...sealedFields(event, sub)])].toSorted();
  found.set(key, { ...row, count: row.count + 1, last: place, sealed });
}

/** Null for a damaged record: a verification names it. */
function eventIn(bytes: Buffer): Event | null {
  try {
    return openRecord(bytes).event as Event;
  } catch (thrown) {
    if (thrown instanceof LedgerError) return null;
    throw thrown;
  }
}

/** The fields of an event that are sealed under this person's key. */
function sealedFields(event: Event, sub: string): string[] {
  return sealedIn(event)
    .filter(({ sealed }) => sealed.key === sub)
    .map(({ field }) => field);
}

/** What is kept of a person is that person's to see (LGPD art. 18, II), and an administrator's who is asked for it. */
function requireSelfOrAdministrator({ sub, profile }: Asking, wanted: string): void {
  if (profile === "administrator" || sub === wanted) return;
  throw new RastroError({
    code: "not_allowed",
    message: "Looking up what is kept of a person failed: it needs the person, or an administrator.",
    expected: "an administrator",
  });
}
