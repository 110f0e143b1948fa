import type { Principal } from "../../contracts/directory.ts";
import { RastroError } from "../../contracts/errors.ts";
import type { Actor, EventDraft } from "../../contracts/events.ts";
import type { ExportBegun, ExportPage, ExportRequest } from "../../contracts/export.ts";
import { parseCheckpoint } from "../../ledger/checkpoint.ts";
import type { Book } from "../book/book.ts";
import { asksForNumbersOnly, givenOf, numbersOf, type ResolvedFilter } from "./export-filter.ts";
import { createExportPages } from "./export-pages.ts";
import { exportedEvent } from "./exported-event.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Store } from "../store/store.ts";
import type { ReadWords } from "./words.ts";

/** Exports that may be fetched at once; the one that was left alone for longest gives way. */
const OPEN_MAXIMUM = 64;
/** An export that nobody fetches from for so long is over, ms. */
const IDLE_MS = 10 * 60_000;

/** Who asks. */
type Caller = { sub: string; auth: Actor["auth"] };

type Open = { sub: string; filter: ResolvedFilter; size: number; names: boolean; usedAt: number };

export type ExportHandlers = {
  "book-export": (
    body: ExportRequest,
    caller: Caller,
    report: (done: number, of: number) => void,
  ) => Promise<ExportBegun>;
  "book-export-page": (body: { id: string; from: number }, caller: Caller) => Promise<ExportPage>;
};

export type ExportOptions = {
  store: Pick<Store, "getMany" | "getNow">;
  book: Pick<Book, "name" | "head">;
  /** The newest checkpoint worth giving to somebody, with its cosignatures; null while there is none. */
  checkpoint: () => Promise<string | null>;
  names: { byName(name: string): Pick<Principal, "sub" | "kind"> | undefined };
  /** Who and why, in words, for callers who asked for names. */
  words: ReadWords;
  /** Puts an event on record. A book that takes no records any more is still handed out. */
  tell: (draft: EventDraft) => Promise<unknown>;
  onUntold: (error: unknown) => void;
  newId: () => string;
  self: Pick<ServiceSelf, "now" | "tz">;
};

/**
 * Hands a book out. An export is put on record once, before its first page is given, and its pages are not. What is
 * handed out proves to be part of the book at the size of its checkpoint, or of now where there is none.
 */
export function createExports(o: ExportOptions): ExportHandlers {
  const { now } = o.self;
  const open = new Map<string, Open>();
  const pages = createExportPages({ store: o.store, book: o.book.name, now });

  function forget(): void {
    for (const [id, { usedAt }] of open) {
      if (open.size >= OPEN_MAXIMUM || usedAt + IDLE_MS < now()) open.delete(id);
    }
  }

  async function begin(
    request: ExportRequest,
    caller: Caller,
    report: (done: number, of: number) => void,
  ): Promise<ExportBegun> {
    const id = o.newId();
    const filter = resolve(request.filter, o.names);
    const checkpoint = await o.checkpoint();
    const head = headOf(o.book, checkpoint);
    const count = asksForNumbersOnly(filter)
      ? countOf(filter, head.size)
      : await pages.count(filter, head.size, report);
    const madeAt = new Date(now()).toISOString();
    const begun = { id, book: o.book.name, ...head, filter: givenOf(filter), madeAt, count };
    const actor = { sub: caller.sub, auth: caller.auth };
    const onRecord = await isTold(o, exportedEvent({ begun, request, actor, tz: o.self.tz }));
    forget();
    open.set(id, { sub: caller.sub, filter, size: head.size, names: request.names, usedAt: now() });
    return { ...begun, checkpoint, onRecord };
  }

  return {
    "book-export": begin,
    async "book-export-page"({ id, from }, caller) {
      const known = open.get(id);
      if (known === undefined || known.sub !== caller.sub) throw unknownExport(id);
      // The one that was used last stands last.
      open.delete(id);
      open.set(id, { ...known, usedAt: now() });
      return pages.page(known.filter, known.size, from, known.names ? o.words : null);
    },
  };
}

function headOf(book: Pick<Book, "head">, checkpoint: string | null): { origin: string; size: number; root: string } {
  if (checkpoint === null) {
    const { origin, size, root } = book.head();
    return { origin, size, root };
  }
  const { origin, size, root } = parseCheckpoint(checkpoint).head;
  return { origin, size, root: root.toString("hex") };
}

function countOf(filter: ResolvedFilter, size: number): number {
  const { from, to } = numbersOf(filter, size);
  return to - from;
}

/** @throws RastroError `unknown_name`. */
function resolve(filter: ExportRequest["filter"], names: ExportOptions["names"]): ResolvedFilter {
  const { person } = filter;
  if (person === null || /^p-[0-9a-f]{32}$/.test(person)) return filter;
  const principal = names.byName(person);
  if (principal !== undefined && principal.kind !== "machine") return { ...filter, person: principal.sub };
  throw new RastroError({
    code: "unknown_name",
    message: `Exporting failed: no person is registered as ${person}.`,
    field: "filter.person",
    given: person,
    expected: "a person's login or id",
  });
}

async function isTold(o: Pick<ExportOptions, "tell" | "onUntold">, draft: EventDraft): Promise<boolean> {
  try {
    await o.tell(draft);
    return true;
  } catch (error) {
    if (!(error instanceof RastroError && error.code === "book_damaged")) throw error;
    o.onUntold(error);
    return false;
  }
}

function unknownExport(id: string): RastroError {
  const message = `Fetching the export ${id} failed: it was not begun here, or not used for 10 minutes, or the service was started again. Begin it anew.`;
  return new RastroError({ code: "unknown_export", message, field: "id", given: id });
}
