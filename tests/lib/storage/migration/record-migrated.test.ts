import { expect, it } from "vitest";
import { Book } from "../../../../lib/storage/book/book.ts";
import { recordMigrated } from "../../../../lib/storage/migration/record-migrated.ts";
import { encodeWord, WORD_KEY } from "../../../../lib/storage/migration/word.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, inputFor, NOW } from "../../../suites/events.ts";

const AT = new Date(NOW - 5000).toISOString();
const DONE = { from: 1, to: 2, backup: "20261124T054405000Z.rastro-backup", size: 1, root: "ab".repeat(32) };
const self = {
  name: "production",
  app: "production@test",
  sign: null,
  key: "",
  tz: "America/Sao_Paulo",
  now: () => NOW,
};

async function migrated() {
  const store = await Store.inMemory();
  const book = await Book.open({ store, name: "production", origin: "test/production" });
  await store.write((tx) => book.append(tx, inputFor(1, null), idOf(1)));
  await store.write((tx) => tx.put(WORD_KEY, encodeWord({ v: 1, at: AT, ...DONE })));
  return { store, book, self, newId: () => idOf(2) };
}

it("a book says once that its store was brought to another format, and what was there before", async () => {
  const o = await migrated();
  await recordMigrated(o);
  await recordMigrated(o);
  expect(o.book.head().size).toBe(2);
  expect(o.book.open(1)).toMatchObject({
    recv: new Date(NOW).toISOString(),
    event: { type: "book.migrated", at: AT, obj: { kind: "book", key: "production" }, payload: DONE },
    via: { kind: "internal", name: "production" },
    added: { result: "booked" },
  });
  expect(o.store.getNow(WORD_KEY)).toBeUndefined();
});

it("the word of it waits while the book takes no records", async () => {
  const o = await migrated();
  o.book.hold("a witness has seen more");
  await recordMigrated(o);
  expect(o.book.head().size).toBe(1);
  o.book.hold(null);
  await recordMigrated(o);
  expect(o.book.head().size).toBe(2);
});
