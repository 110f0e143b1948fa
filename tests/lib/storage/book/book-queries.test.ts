import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findOperation } from "../../../../lib/contracts/operations.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { type BookQueries, bookQueries } from "../../../../lib/storage/book/book-queries.ts";
import { keys } from "../../../../lib/storage/keys.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, inputFor, signer } from "../../../suites/events.ts";

const SIZE = 7;
const machine = signer("ipc-07");

describe("the queries of a book", () => {
  let store: Store;
  let book: Book;
  let queries: BookQueries;

  beforeEach(async () => {
    store = await Store.inMemory();
    book = await Book.open({ store, name: "audit", origin: "test/audit" });
    queries = bookQueries(book, { keyOf: (name) => (name === machine.name ? machine.raw : null) });
    for (let n = 0; n < SIZE; n += 1) await store.write((tx) => book.append(tx, inputFor(n, machine), idOf(n)));
  });
  afterEach(() => store.close());

  it("answer by the schemas of the contract", async () => {
    const answers = {
      "book-head": await queries["book-head"]({}),
      "book-record": await queries["book-record"]({ seq: 3 }),
      "book-proof": await queries["book-proof"]({ id: idOf(3) }),
      "book-tail": await queries["book-tail"]({ limit: 3, before: null }),
      "book-verify": await queries["book-verify"]({ from: 0 }),
    };
    for (const [operation, answer] of Object.entries(answers)) {
      expect(findOperation("audit", operation)?.response.parse(answer)).toEqual(answer);
    }
    expect(answers["book-verify"]).toMatchObject({ ok: true, signatures: { checked: SIZE } });
  });

  it("find a record by number and by id", async () => {
    expect(await queries["book-record"]({ id: idOf(4) })).toEqual(await queries["book-record"]({ seq: 4 }));
    expect(await queries["book-proof"]({ id: idOf(4) })).toEqual(await queries["book-proof"]({ seq: 4 }));
  });

  it("say that there is no such record", async () => {
    for (const body of [{ seq: SIZE }, { id: idOf(SIZE) }]) {
      await expect(queries["book-record"](body)).rejects.toMatchObject({ code: "unknown_record" });
      await expect(queries["book-proof"](body)).rejects.toMatchObject({ code: "unknown_record" });
    }
  });

  it("give ranges to whoever copies the book, up to its end", async () => {
    const range = await queries["book-range"]({ from: 2, limit: 3 });
    expect(range.records.map(({ seq }) => seq)).toEqual([2, 3, 4]);
    expect(range.records[0]).toEqual(book.record(2));
    expect(range.head).toEqual(book.head());
    expect(findOperation("audit", "book-range")?.response.parse(range)).toEqual(range);
    expect((await queries["book-range"]({ from: 5, limit: 1000 })).records).toHaveLength(SIZE - 5);
    expect((await queries["book-range"]({ from: SIZE, limit: 1000 })).records).toEqual([]);
  });

  it("end a range where it has become long, and before a damaged record", async () => {
    const long = inputFor(SIZE, machine);
    const padded = { ...long, added: { ...long.added, after: { text: "x".repeat(60_000) } } };
    for (let n = SIZE; n < SIZE + 10; n += 1) await store.write((tx) => book.append(tx, padded, idOf(n)));
    const { records } = await queries["book-range"]({ from: SIZE, limit: 1000 });
    expect(records.length).toBeGreaterThan(1);
    expect(records.length).toBeLessThan(10);
    await store.write((tx) => tx.put(keys.record(4), Buffer.from("{}")));
    expect((await queries["book-range"]({ from: 2, limit: 1000 })).records.map(({ seq }) => seq)).toEqual([2, 3]);
    await expect(queries["book-range"]({ from: 4, limit: 1000 })).rejects.toMatchObject({ code: "book_damaged" });
  });

  it("page through the tail, newest first", async () => {
    const pages: number[][] = [];
    for (let before: number | null = null; ;) {
      const { head, records }: Awaited<ReturnType<BookQueries["book-tail"]>> = await queries["book-tail"]({
        limit: 3,
        before,
      });
      expect(head.size).toBe(SIZE);
      if (records.length === 0) break;
      pages.push(records.map(({ seq }) => seq));
      before = records.at(-1)?.seq ?? 0;
    }
    expect(pages).toEqual([[6, 5, 4], [3, 2, 1], [0]]);
    expect((await queries["book-tail"]({ limit: 2, before: 1000 })).records.map(({ seq }) => seq)).toEqual([6, 5]);
  });

  it("pass over a damaged record in the tail, and refuse to give it out alone", async () => {
    await store.write((tx) => tx.put(keys.record(5), Buffer.from("{}")));
    expect((await queries["book-tail"]({ limit: 3, before: null })).records.map(({ seq }) => seq)).toEqual([6, 4, 3]);
    await expect(queries["book-record"]({ seq: 5 })).rejects.toMatchObject({ code: "book_damaged" });
    expect(await queries["book-verify"]({ from: 0 })).toMatchObject({
      ok: false,
      damaged: [{ seq: 5, kind: "altered" }],
    });
  });
});
