import { createHash } from "node:crypto";
import { join } from "node:path";
import { Book } from "../../lib/storage/book.ts";
import { Store } from "../../lib/storage/store.ts";

/** Opens the book of a folder, and closes it after use. */
export async function withBook<T>(at: string, use: (book: Book, store: Store) => Promise<T>): Promise<T> {
  const store = await Store.openFolder(join(at, "store"));
  try {
    const headNote = join(at, "head.note");
    const book = await Book.open({ store, name: "production", origin: "test/production", headNote });
    try {
      return await use(book, store);
    } finally {
      await book.close();
    }
  } finally {
    await store.close();
  }
}

/** SHA-256 over all records, as a full export would hold them. @throws what a reader would be told of a damaged one. */
export function exportOf(book: Book): string {
  const hash = createHash("sha256");
  for (let seq = 0; seq < book.head().size; seq += 1) hash.update(`${book.record(seq)?.bytes}\n`);
  return hash.digest("hex");
}
