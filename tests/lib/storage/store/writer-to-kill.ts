import { join } from "node:path";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Outbox } from "../../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { draft, idOf, inputFor, NOW } from "../../../suites/events.ts";

/*
 * Run by sigkill.test.ts, which kills it: appends to a book and stages in an outbox, both in one stage, and says on
 * stdout which number is on disk.
 */

const [folder, first] = process.argv.slice(2) as [string, string];
const store = await Store.openFolder(join(folder, "store"));
const book = await Book.open({
  store,
  name: "production",
  origin: "test/production",
  headNote: join(folder, "head.note"),
});
const outbox = await Outbox.open({
  store,
  book: "audit",
  name: "production",
  app: "production@0.1.0",
  sign: null,
  random: (length) => Buffer.alloc(length, 1),
  now: () => NOW,
});

let next = Number(first);
async function writeOn(): Promise<never> {
  for (;;) {
    const n = next++;
    await store.write((tx) => {
      book.append(tx, inputFor(n, null), idOf(n));
      outbox.stage(tx, draft(n));
    });
    process.stdout.write(`${n}\n`);
  }
}
await Promise.all(Array.from({ length: 20 }, writeOn));
