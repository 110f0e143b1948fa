import { existsSync } from "node:fs";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import type { Invitation, PromotionMark } from "../../lib/contracts/standby.ts";
import type { Event } from "../../lib/contracts/events.ts";
import { openRecord } from "../../lib/ledger/record.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { logOrigin, openLogKeys } from "../../lib/runtime/log-keys.ts";
import { createOnce } from "../../lib/runtime/new-file.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import type { KnownHead } from "../../lib/storage/backup/known.ts";
import { RECORDS } from "../../lib/storage/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { makeReady, type PlaceStep, type ReadyBook } from "./place-book.ts";

export type PromoteOptions = {
  act: PromotionMark["act"];
  books: readonly BookName[];
  /** The standby's data folder, and the one that the books are put into. */
  from: Folders;
  to: Folders;
  joined: Invitation;
  /** The keys of each log that the standby has pinned. */
  logKeys: Readonly<Record<BookName, readonly VerifierKey[]>>;
  /** What others have seen of a book. */
  known: (book: BookName) => Promise<readonly KnownHead[]>;
  olderOnPurpose: boolean;
  by: string;
  reason: string;
  newId: () => string;
  now: () => number;
  onStep?: (book: BookName, step: PlaceStep, done: number, of: number) => void;
};

/**
 * Puts the standby's copies in the place of a plant's books. All of them are written and verified before the first is
 * moved; what is in their place is moved aside, never deleted. Each leaves word for its service, which puts it on record
 * at its next start. The standby's own copies stay as they are.
 *
 * @returns the word that was left, a mark for each book.
 * @throws RastroError as {@link makeReady}; `not_allowed` when the data folder is another plant's.
 */
export async function promote(o: PromoteOptions): Promise<PromotionMark[]> {
  await requirePlant(o);
  const ready: ReadyBook[] = [];
  for (const book of o.books) ready.push(await makeOneReady(o, book));
  const marks: PromotionMark[] = [];
  // Audit first: what it lacks of production is looked up in the place where it will be.
  for (const one of ready.toSorted(({ book }) => (book === "audit" ? -1 : 1))) {
    const untold = one.book === "production" ? await firstUntold(o.to) : null;
    marks.push(await one.putInPlace(wordOf(o, one, untold)));
  }
  return marks;
}

async function requirePlant({ act, to, joined }: PromoteOptions): Promise<void> {
  // A plant that goes on has its folder; only a promotion may make one.
  if (act === "promoted") await createOnce(to.plant, `${JSON.stringify(joined.plant)}\n`, 0o644);
  const plant = await readPlant(to.data);
  if (plant.id === joined.plant.id) return;
  throw new RastroError({
    code: "not_allowed",
    message: `Putting the books of ${joined.plant.id} into ${to.data} failed: that folder is of the plant ${plant.id}.`,
    given: plant.id,
    expected: joined.plant.id,
  });
}

async function makeOneReady(o: PromoteOptions, book: BookName): Promise<ReadyBook> {
  const plant = o.joined.plant.id;
  const hasKeys = existsSync(o.to.logKeys(book));
  const ownKeys = hasKeys ? (await openLogKeys({ folders: o.to, book, plant })).known() : [];
  return makeReady({
    book,
    origin: logOrigin(plant, book),
    from: o.from,
    to: o.to,
    pinned: o.logKeys[book],
    ownKeys,
    known: await o.known(book),
    olderOnPurpose: o.olderOnPurpose,
    now: o.now,
    onStep: (step, done, of) => o.onStep?.(book, step, done, of),
  });
}

function wordOf(o: PromoteOptions, { book, proven, known, lacking }: ReadyBook, untold: number | null) {
  const { size, root } = proven.head;
  const { act, by, reason } = o;
  const at = new Date(o.now()).toISOString();
  return {
    v: 1 as const,
    act,
    event: o.newId(),
    book,
    at,
    size,
    root: root.toString("hex"),
    known,
    lacking,
    by,
    reason,
    untold,
  };
}

/**
 * The number after the last record of production that the book of audit tells of; null where there is no such book.
 * Production tells of its records in their order.
 */
async function firstUntold(to: Folders): Promise<number | null> {
  if (!existsSync(to.bookStore("audit"))) return null;
  const store = await Store.openFolder(to.bookStore("audit"), { migration: "none" });
  try {
    for await (const [, bytes] of store.range({ ...RECORDS, reverse: true })) {
      const { type, payload } = openRecord(bytes).event as Event;
      if ((type === "record.booked" || type === "record.rebooked") && typeof payload["seq"] === "number")
        return payload["seq"] + 1;
    }
    return 0;
  } finally {
    await store.close();
  }
}
