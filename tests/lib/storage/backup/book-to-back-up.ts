import { join } from "node:path";
import type { BackupReport } from "../../../../lib/contracts/backup.ts";
import { makeBackup } from "../../../../lib/storage/backup/make.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Outbox } from "../../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { draft, idOf, inputFor, NOW } from "../../../suites/events.ts";

export const ORIGIN = "plant-1/production";

/** A book of production with its outbox, in a folder as a plant has it. */
export async function openBookIn(folder: string) {
  const headNote = join(folder, "head.note");
  const store = await Store.openFolder(join(folder, "store"));
  const book = await Book.open({ store, name: "production", origin: ORIGIN, headNote });
  const outbox = await Outbox.open({
    store,
    book: "audit",
    name: "production",
    app: "production@test",
    sign: null,
    random: (length) => Buffer.alloc(length, 1),
    now: () => NOW,
  });
  const add = (n: number) =>
    store.write((tx) => {
      book.append(tx, inputFor(n, null), idOf(n));
      outbox.stage(tx, draft(n));
    });
  return {
    store,
    book,
    outbox,
    addMany: (first: number, count: number) => Promise.all(Array.from({ length: count }, (_, at) => add(first + at))),
    backup: (at: number, change: { asItIs?: boolean } = {}): Promise<BackupReport> =>
      makeBackup({
        store,
        name: "production",
        plant: "plant-1",
        origin: ORIGIN,
        folder: join(folder, "backups"),
        why: "request",
        app: "production@test",
        now: () => at,
        ...change,
      }),
    async close() {
      await book.close();
      await store.close();
    },
  };
}

/** Every row of a store, in hexadecimal. */
export async function rowsOf(store: Store): Promise<[string, string][]> {
  const snapshot = store.snapshot();
  const rows: [string, string][] = [];
  for await (const [key, value] of snapshot.rows()) rows.push([key.toString("hex"), value.toString("hex")]);
  await snapshot.close();
  return rows;
}
