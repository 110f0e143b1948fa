import { describe, expect, it } from "vitest";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { BACKENDS } from "../../../suites/backends.ts";
import { bookSuite } from "../../../suites/book.ts";
import { idOf, inputFor } from "../../../suites/events.ts";

for (const backend of BACKENDS) bookSuite(backend);

describe("a book without a head note", () => {
  it("is whole in itself", async () => {
    const store = await Store.inMemory();
    const book = await Book.open({ store, name: "production", origin: "test/production" });
    await store.write((tx) => book.append(tx, inputFor(0, null), idOf(0)));
    expect(await book.verify()).toMatchObject({ ok: true, size: 1, book: "production" });
    await book.close();
    await store.close();
  });
});
