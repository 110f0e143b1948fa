import { RastroError } from "../../lib/contracts/errors.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import { type Cell, cellAt, type Store, type Tx } from "../../lib/storage/store/store.ts";
import { foldRecord } from "./fold.ts";
import { VIEWS } from "./view-keys.ts";

/** How far the views have come. It lies outside the views: a rebuild gives the views' bytes, by whatever road. */
const MARK = Buffer.from("s/views");
/** Raised whenever the fold or its keys change; views of another version are made again. */
const VIEWS_VERSION = 1;
/** `folded` is null while old views are being removed: a crash then begins again. */
type Mark = { version: number; folded: number | null };

const MARK_CELL: Cell<Mark | null> = cellAt(MARK, {
  decode: readMark,
  encode: (mark) => Buffer.from(JSON.stringify(mark)),
});

/** Records that one batch of a rebuild folds; bounds what is held in memory. */
const BATCH = 500;

export type ViewedBook = { store: Store; book: Pick<Book, "head" | "leafAt" | "open"> };

/** Says in the batch of a record that the views hold all records below `size`. */
export function markFolded(tx: Pick<Tx, "set">, size: number): void {
  putMark(tx, { version: VIEWS_VERSION, folded: size });
}

/**
 * Makes the views fit the book, at start: nothing to do as a rule, since both are written in one batch; a full
 * rebuild when they were made by another version or a rebuild was cut short.
 *
 * @returns how many records were folded.
 */
export async function bringViewsUpToDate(o: ViewedBook): Promise<number> {
  const mark = readMark(await o.store.get(MARK));
  const { size } = o.book.head();
  if (mark === null || mark.version !== VIEWS_VERSION || mark.folded === null || mark.folded > size)
    return rebuildViews(o);
  return foldFrom(o, mark.folded);
}

/**
 * Removes all views and makes them again from the book. Nothing else may write to the book meanwhile; readers see
 * views that grow.
 *
 * @returns how many records were folded.
 */
export async function rebuildViews(o: ViewedBook): Promise<number> {
  await o.store.write((tx) => putMark(tx, { version: VIEWS_VERSION, folded: null }));
  await removeViews(o.store);
  await o.store.write((tx) => markFolded(tx, 0));
  return foldFrom(o, 0);
}

async function removeViews(store: Store): Promise<void> {
  for (;;) {
    const keys: Buffer[] = [];
    for await (const [key] of store.range({ ...VIEWS, limit: BATCH })) keys.push(key);
    if (keys.length === 0) return;
    await store.write((tx) => keys.forEach((key) => tx.del(key)));
  }
}

async function foldFrom({ store, book }: ViewedBook, first: number): Promise<number> {
  const { size } = book.head();
  for (let from = first; from < size; from += BATCH) {
    const to = Math.min(from + BATCH, size);
    await store.write((tx) => {
      for (let seq = from; seq < to; seq++) foldStored(tx, book, seq);
      markFolded(tx, to);
    });
  }
  return size - first;
}

/** A record that cannot be read is passed over: verification names it, and the others must stay readable. */
function foldStored(tx: Tx, book: ViewedBook["book"], seq: number): void {
  const record = readable(book, seq);
  const leaf = book.leafAt(seq);
  if (record !== undefined && leaf !== undefined) foldRecord(tx, { seq, leaf }, record);
}

function readable(book: ViewedBook["book"], seq: number) {
  try {
    return book.open(seq);
  } catch (thrown) {
    if (thrown instanceof RastroError && thrown.code === "book_damaged") return undefined;
    throw thrown;
  }
}

function putMark(tx: Pick<Tx, "set">, mark: Mark): void {
  tx.set(MARK_CELL, mark);
}

function readMark(bytes: Buffer | undefined): Mark | null {
  return bytes === undefined ? null : (JSON.parse(bytes.toString("utf8")) as Mark);
}
