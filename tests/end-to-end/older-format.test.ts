import { v7 as newId } from "uuid";
import { describe, expect, it } from "vitest";
import type { BookName } from "../../lib/contracts/names.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { openLevel } from "../../lib/storage/level/database.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { rastro } from "../support/cli.ts";
import { toFormat1 } from "../support/format-1.ts";
import { usePlant } from "../support/plant.ts";

const BOOKS: readonly BookName[] = ["production", "audit"];

/* A plant whose data folder an older version has written, at the first start of this one. */
describe("a plant with stores of an older format", () => {
  const plantOf = usePlant();
  const cli = (...args: string[]) => rastro(plantOf().environment, args);

  it("backs its books up, brings them to the format of now, and says so in them", { timeout: 120_000 }, async () => {
    await addEntries(20);
    await plantOf().stop();
    const before = { production: await headOf("production"), audit: await headOf("audit") };
    for (const folder of storesOf()) await makeOlder(folder);

    await start();
    await addEntries(5);
    for (const book of BOOKS) {
      const verified = await cli("audit", "verify", "--book", book, "--json");
      expect(verified, verified.stderr).toMatchObject({ code: 0 });
    }
    const listed = (await cli("backup", "list", ...BOOKS, "--json")).json() as Listed[];
    await plantOf().stop();

    for (const folder of storesOf()) expect(await formatOf(folder), folder).toBe("2");
    for (const book of BOOKS) {
      const [saved] = listed.filter(({ store }) => store === book);
      expect(saved?.header).toMatchObject({ why: "before-migration", storeFormat: "1", ...before[book] });
      const migrated = await eventsOf(book, "book.migrated");
      expect(migrated.map(({ payload }) => payload)).toEqual([
        { from: 1, to: 2, backup: saved?.name, ...before[book] },
      ]);
    }
  });

  type Listed = { store: string; name: string; header: { why: string; storeFormat: string } };

  async function start(): Promise<void> {
    const { processes } = plantOf();
    await processes.broker.start();
    await Promise.all([processes.audit.start(), processes.production.start(), processes.fleet.start()]);
    await processes["edge-agent"].start();
  }

  async function addEntries(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const added = await cli("entry", "add", "--id", newId(), "--machine", "ipc-07", "--lot", "L-1", "--good", "1");
      expect(added).toMatchObject({ code: 0, stderr: "" });
    }
  }

  function storesOf(): string[] {
    const { folders } = plantOf();
    const { fleet, directory, peopleKeys, mqttSessions, access } = folders;
    return [
      ...BOOKS.map(folders.bookStore),
      fleet,
      directory,
      peopleKeys,
      mqttSessions,
      access,
      folders.agentOutbox("ipc-07"),
    ];
  }

  async function makeOlder(folder: string): Promise<void> {
    const database = await openLevel(folder);
    await toFormat1(database);
    await database.close();
  }

  async function formatOf(folder: string): Promise<string | undefined> {
    const database = await openLevel(folder);
    const format = database.getSync(Buffer.from("m/format"))?.toString();
    await database.close();
    return format;
  }

  const headOf = (name: BookName) =>
    withBook(name, (book) => {
      const { size, root } = book.head();
      return { size, root };
    });

  const eventsOf = (name: BookName, type: string) =>
    withBook(name, (book) =>
      Array.from(
        { length: book.head().size },
        (_, seq) => book.open(seq)?.event as { type: string; payload: object },
      ).filter((event) => event.type === type),
    );

  async function withBook<T>(name: BookName, read: (book: Book) => T): Promise<T> {
    const { folders } = plantOf();
    const store = await Store.openFolder(folders.bookStore(name));
    try {
      const { id } = await readPlant(folders.data);
      return read(await Book.open({ store, name, origin: `${id}/${name}` }));
    } finally {
      await store.close();
    }
  }
});
