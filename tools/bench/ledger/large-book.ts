import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { Book } from "../../../lib/storage/book/book.ts";
import type { LogSigner } from "../../../lib/storage/book/checkpoints.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { preparedRecord } from "./records.ts";

/** Appends that are under way at once while a book is made. */
const AT_ONCE = 1000;

/** Signs the head note, as every book in use does. */
const SIGNER: LogSigner = (() => {
  const { privateKey } = generateKeyPairSync("ed25519");
  return { privateKeys: () => [privateKey], known: () => [] };
})();

/** A book of so many records in a folder, closed again: for processes that open it. */
export async function makeBook(folder: string, records: number): Promise<void> {
  const { store, book, close } = await openBook(folder);
  try {
    await appendPrepared(store, book, records);
  } finally {
    await close();
  }
}

/** Opens a book of the benchmark. */
export async function openBook(folder: string): Promise<{ store: Store; book: Book; close(): Promise<void> }> {
  const store = await Store.openFolder(join(folder, "store"), { ahead: true, threads: true });
  const headNote = join(folder, "head.note");
  const book = await Book.open({ store, name: "production", origin: "bench/production", headNote, signer: SIGNER });
  return {
    store,
    book,
    async close() {
      await book.close();
      await store.close();
    },
  };
}

/** Appends so many records, a thousand at once. */
export async function appendPrepared(store: Store, book: Book, records: number): Promise<void> {
  for (let first = 0; first < records; first += AT_ONCE) {
    const count = Math.min(AT_ONCE, records - first);
    const numbers = Array.from({ length: count }, (_, index) => first + index);
    await Promise.all(
      numbers.map((n) => {
        const { input, id, text } = preparedRecord(n);
        return store.write((tx) => book.append(tx, input, id, text));
      }),
    );
  }
}
