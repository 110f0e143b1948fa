import { expect, it, onTestFinished } from "vitest";
import { Book } from "../../../lib/storage/book/book.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { createOwnActs } from "../../../services/audit/own-acts.ts";
import { draft, idOf, NOW } from "../../suites/events.ts";

it("a book has each id once, whoever chose it", async () => {
  const store = await Store.inMemory();
  onTestFinished(() => store.close());
  const book = await Book.open({ store, name: "audit", origin: "test/audit" });
  const self = { name: "audit", app: "audit@test", sign: null, key: "", tz: "UTC", now: () => NOW };
  const act = createOwnActs({ store, book, self, roleOf: () => null });
  await act(draft(1));
  await act(draft(2));
  await expect(act(draft(1, { type: "witness.admitted" }))).rejects.toMatchObject({ code: "id_conflict" });
  expect(book.head().size).toBe(2);
  expect(book.find(idOf(1))).toBe(0);
  expect(await book.verify()).toMatchObject({ ok: true });
});
