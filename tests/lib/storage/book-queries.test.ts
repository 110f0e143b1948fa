import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findOperation } from "../../../lib/contracts/operations.ts";
import { Book } from "../../../lib/storage/book.ts";
import { type BookQueries, bookQueries } from "../../../lib/storage/book-queries.ts";
import { keys } from "../../../lib/storage/keys.ts";
import { Store } from "../../../lib/storage/store.ts";
import { idOf, inputFor, signer } from "../../suites/events.ts";

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
      "book-verify": await queries["book-verify"]({}),
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
    expect(await queries["book-verify"]({})).toMatchObject({ ok: false, damaged: [{ seq: 5, kind: "altered" }] });
  });
});
