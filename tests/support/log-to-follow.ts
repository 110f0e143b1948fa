import type { BookName } from "../../lib/contracts/names.ts";
import { signCheckpoint } from "../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../lib/ledger/hash.ts";
import { openRecord, sealRecord } from "../../lib/ledger/record.ts";
import { SIGNATURE_TYPES, type VerifierKey, verifierKey } from "../../lib/ledger/signed-note.ts";
import { createKey, type KeyPair } from "../../lib/runtime/keys.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { quarantine } from "../../lib/storage/quarantine/quarantine.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { idOf, inputFor, NOW } from "../suites/events.ts";

/** A log as somebody who follows it sees it: a book whose checkpoints the test signs. */
export type LogToFollow = {
  book: Book;
  store: Store;
  /** Signs checkpoints; a test may change it. */
  key: KeyPair;
  vkey: VerifierKey;
  /** Books so many more records. */
  grow(count: number): Promise<void>;
  /** Sets something apart that came from a machine. */
  setApart(raw: unknown): Promise<void>;
  /** The checkpoint over everything, or over what is given. */
  checkpoint(head?: { size: number; root: Buffer }): string;
  /** Bytes of records, as many as there are. */
  read(from: number, limit: number): Buffer[];
};

export async function logToFollow(name: BookName = "audit", plant = "plant-test"): Promise<LogToFollow> {
  const store = await Store.inMemory();
  const origin = `${plant}/${name}`;
  const book = await Book.open({ store, name, origin });
  const key = createKey();
  let next = 0;
  const log: LogToFollow = {
    book,
    store,
    key,
    vkey: verifierKey(origin, SIGNATURE_TYPES.ed25519, key.publicRaw),
    async grow(count) {
      const numbers = Array.from({ length: count }, () => next++);
      await Promise.all(numbers.map((n) => store.write((tx) => book.append(tx, inputFor(n, null), idOf(n)))));
    },
    async setApart(raw) {
      const self = { name, app: `${name}@0.1.0`, sign: null, key: "", tz: "UTC", now: () => NOW };
      const arrival = {
        raw,
        from: "ipc-07",
        recv: new Date(NOW).toISOString(),
        code: "schema" as const,
        message: "no",
      };
      await store.write((tx) => void quarantine({ book, self, newId: () => idOf(next++) }, tx, arrival));
    },
    checkpoint(head) {
      const { size, root } = head ?? { size: book.head().size, root: Buffer.from(book.head().root, "hex") };
      return signCheckpoint({ origin, size, root }, [log.key.privateKey]);
    },
    read(from, limit) {
      const to = Math.min(book.head().size, from + limit);
      return Array.from({ length: Math.max(0, to - from) }, (_, index) =>
        Buffer.from(book.record(from + index)?.bytes ?? "", "base64"),
      );
    },
  };
  return log;
}

/** The same record with another content: canonical, in its place, and a lie. */
export function forged(bytes: Buffer, change: { seq?: number; prev?: string } = {}): Buffer {
  const { added, ...rest } = openRecord(bytes);
  return sealRecord({ ...rest, ...change, added: { ...added, after: { good: 666 } } }).bytes;
}

/** A whole history that begins with a lie: every record continues the one before. */
export function forgedFrom(records: readonly Buffer[]): Buffer[] {
  const made: Buffer[] = [];
  for (const bytes of records) {
    const before = made.at(-1);
    made.push(forged(bytes, before === undefined ? {} : { prev: leafHash(before).toString("hex") }));
  }
  return made;
}
