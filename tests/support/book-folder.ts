import { createHash } from "node:crypto";
import { join } from "node:path";
import { Book } from "../../lib/storage/book/book.ts";
import { openBookStore } from "../../lib/storage/repair/repaired-copy.ts";
import { Store } from "../../lib/storage/store/store.ts";

type Opened = { store: Store; repaired: string | null; close(): Promise<void> };

/** Opens the book of a folder, and closes it after use. */
export function withBook<T>(at: string, use: (book: Book, store: Store) => Promise<T>): Promise<T> {
  return withOpened(at, openBare, use);
}

/** As {@link withBook}, in the way of the services: a damaged store is read in a repaired copy. */
export function withServedBook<T>(at: string, use: (book: Book, store: Store) => Promise<T>): Promise<T> {
  return withOpened(at, (folder) => openBookStore(folder, { copy: join(at, "copy") }), use);
}

async function openBare(folder: string): Promise<Opened> {
  const store = await Store.openFolder(folder);
  return { store, repaired: null, close: () => store.close() };
}

async function withOpened<T>(
  at: string,
  open: (folder: string) => Promise<Opened>,
  use: (book: Book, store: Store) => Promise<T>,
): Promise<T> {
  const opened = await open(join(at, "store"));
  const { store } = opened;
  try {
    const headNote = join(at, "head.note");
    const book = await Book.open({ ...opened, name: "production", origin: "test/production", headNote });
    try {
      return await use(book, store);
    } finally {
      await book.close();
    }
  } finally {
    await opened.close();
  }
}

/** SHA-256 over all records, as a full export would hold them. @throws what a reader would be told of a damaged one. */
export function exportOf(book: Book): string {
  const hash = createHash("sha256");
  for (let seq = 0; seq < book.head().size; seq += 1) hash.update(`${book.record(seq)?.bytes}\n`);
  return hash.digest("hex");
}
