import { setImmediate as nextTurn } from "node:timers/promises";
import { sha256 } from "../../../lib/ledger/hash.ts";
import { type Database, openLevel, type Operation } from "../../../lib/storage/level/database.ts";
import { GROUP_STAGES } from "../../../lib/storage/store/group-writer.ts";
import { u64 } from "../../../lib/storage/keys.ts";
import { openBook } from "./large-book.ts";
import { idOf, type Prepared, preparedBytes, preparedRecord } from "./records.ts";

/** Takes records and resolves for each once it is on disk. */
export type Appender<T> = { append(one: T, n: number): Promise<unknown>; close(): Promise<void> };

/**
 * Something that is measured: `open` gets an empty folder, `prepare` makes a record as it takes it; `append` is given one
 * of these and the number of the call.
 */
export type AppenderKind<T> = {
  name: string;
  prepare(n: number): T;
  open(folder: string, callers: number): Promise<Appender<T>>;
};

export const BOOK: AppenderKind<Prepared> = {
  name: "book",
  prepare: preparedRecord,
  async open(folder) {
    const { store, book, close } = await openBook(folder);
    // The id of the call, not of the record: no book has one twice. What is in the event's text is looked at by nobody.
    return { append: ({ input, text }, n) => store.write((tx) => book.append(tx, input, idOf(n), text)), close };
  },
};

/**
 * The floor that no book on this store can go below: the record's bytes hashed, and put under one key in a synced batch
 * with those of the callers that wait: the same group commit, and nothing else.
 */
export const FLOOR: AppenderKind<Buffer> = {
  name: "floor",
  prepare: preparedBytes,
  async open(folder) {
    const database = await openLevel(folder, { ahead: true });
    const write = groupedWrites(database);
    let next = 0;
    return {
      append(value) {
        const key = u64(next);
        next += 1;
        sha256(value);
        return write({ type: "put", key, value });
      },
      close: () => database.close(),
    };
  },
};

/** A synced put by itself: what a caller alone cannot go below. */
export const BARE_PUT: AppenderKind<Buffer> = {
  name: "bare put",
  prepare: preparedBytes,
  async open(folder) {
    const database = await openLevel(folder);
    let next = 0;
    return {
      append(value) {
        const key = u64(next);
        next += 1;
        return database.batch([{ type: "put", key, value }], { sync: true });
      },
      close: () => database.close(),
    };
  },
};

/** What waits while a batch is being written goes into the next one, as much of it as a store takes into one. */
function groupedWrites(database: Database): (operation: Operation) => Promise<void> {
  const waiting: { operation: Operation; done: () => void; failed: (error: unknown) => void }[] = [];
  const take = () => waiting.splice(0, GROUP_STAGES);
  let writing = false;
  const writeGroups = async () => {
    writing = true;
    for (let group = take(); group.length > 0; group = take()) {
      try {
        await database.batch(
          group.map(({ operation }) => operation),
          { sync: true },
        );
        for (const { done } of group) done();
      } catch (error) {
        for (const { failed } of group) failed(error);
      }
      await nextTurn();
    }
    writing = false;
  };
  return (operation) =>
    new Promise((done, failed) => {
      waiting.push({ operation, done, failed });
      if (!writing) void Promise.resolve().then(writeGroups);
      writing = true;
    });
}
