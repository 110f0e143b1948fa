import { createHash } from "node:crypto";
import { access, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Book } from "../../../../lib/storage/book/book.ts";
import { readU64, RECORDS } from "../../../../lib/storage/keys.ts";
import { openLevel } from "../../../../lib/storage/level/database.ts";
import { liveTables } from "../../../../lib/storage/level/manifest.ts";
import { readTable } from "../../../../lib/storage/level/table.ts";
import type { Migration } from "../../../../lib/storage/migration/migration.ts";
import { openBookStore, type OpenedStore } from "../../../../lib/storage/repair/repaired-copy.ts";
import { idOf, inputFor } from "../../../suites/events.ts";
import { toFormat1, treeKey } from "../../../support/format-1.ts";
import { exportOf, withBook } from "../../../support/book-folder.ts";

const SIZE = 900;
const ORIGIN = "test/production";

let home: string;
let sound: string;
let folder: string;
let exported: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "rastro-repaired-"));
  sound = join(home, "sound");
  // Opened three times, so that there are a table and a log.
  for (const first of [0, 300, 600]) {
    await withBook(sound, async (book, store) => {
      const numbers = Array.from({ length: 300 }, (_, index) => first + index);
      await Promise.all(numbers.map((n) => store.write((tx) => book.append(tx, inputFor(n, null), idOf(n)))));
      exported = exportOf(book);
    });
  }
  await removeLeftovers(join(sound, "store"));
});
afterAll(() => rm(home, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(home, "book-"));
  await cp(sound, folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("the store of a book that can be opened", () => {
  it("is opened itself, and no copy is left of a time when it could not be", async () => {
    await cp(join(sound, "store"), join(folder, "copy"), { recursive: true });
    const { repaired, close } = await open();
    expect(repaired).toBeNull();
    await expect(access(join(folder, "copy"))).rejects.toMatchObject({ code: "ENOENT" });
    await close();
  });
});

describe("a store that LevelDB cannot open any more", () => {
  it.each([
    ["CURRENT gone", () => rm(inStore("CURRENT")), /its file CURRENT is missing/],
    ["CURRENT spoiled", () => writeFile(inStore("CURRENT"), "MANIFEST-9999"), /the store cannot be opened/],
    ["its manifest spoiled", spoilManifest, /the store cannot be opened/],
  ])("is read in a repaired copy, whole where only the index of files is lost: %s", async (_name, harm, why) => {
    await harm();
    const before = await contentsOf(join(folder, "store"));
    await withOpened(async (book, opened) => {
      expect(opened.repaired).toMatch(why);
      expect(book.damage).toMatch(new RegExp(`^unreadable: .* it has all of ${SIZE} records$`));
      expect(await book.verify()).toMatchObject({ ok: true, size: SIZE });
      expect(exportOf(book)).toBe(exported);
      await expectReadOnly(book, opened);
    });
    expect(await contentsOf(join(folder, "store"))).toEqual(before);
  });

  it("is read in a repaired copy when it is of an older format, which the copy alone is brought out of", async () => {
    const database = await openLevel(join(folder, "store"));
    await toFormat1(database);
    await database.close();
    await rm(inStore("CURRENT"));
    const before = await contentsOf(join(folder, "store"));
    await withOpened(async (book, opened) => {
      expect(opened.repaired).toMatch(/CURRENT is missing/);
      expect(await book.verify()).toMatchObject({ ok: true, size: SIZE });
      expect(exportOf(book)).toBe(exported);
    });
    expect(await contentsOf(join(folder, "store"))).toEqual(before);
  });

  it("is read in such a copy too where a damaged tree keeps it from being brought out of an older format", async () => {
    const database = await openLevel(join(folder, "store"));
    await toFormat1(database);
    await database.batch([{ type: "del", key: treeKey(0, 17) }], { sync: true });
    await database.close();
    let backups = 0;
    const migration = { backUp: async () => `backup-${(backups += 1)}`, at: null };
    for (let start = 0; start < 2; start += 1) {
      await withOpened(async (book, opened) => {
        expect(book.damage).toMatch(/leaf 17 of the tree is missing.* it has all of 900 records$/);
        const report = await book.verify();
        expect(report.damaged.map(({ kind, seq }) => [kind, seq])).toEqual([["index", 17]]);
        expect(book.record(16)).toBeDefined();
        expect(() => book.record(17)).toThrow(/do not hash to the leaf/);
        await expectReadOnly(book, opened);
      }, migration);
    }
    expect(backups).toBe(1);
    const after = await openLevel(join(folder, "store"));
    expect(after.getSync(Buffer.from("m/format"))?.toString()).toBe("1");
    await after.close();
  });

  it("says which records are lost with a table that is gone, and shows all others", async () => {
    const table = await someTable();
    const { rows } = readTable(await readFile(inStore(table)));
    const gone = rows.filter(({ key }) => key[0] === RECORDS.gte[0]).map(({ key }) => readU64(key, 1));
    await rm(inStore(table));
    const before = await contentsOf(join(folder, "store"));
    await withOpened(async (book, opened) => {
      expect(book.damage).toContain(`${gone.length} of ${SIZE} records are missing from it: `);
      const report = await book.verify();
      expect(report.ok).toBe(false);
      const lost = report.damaged.filter(({ kind }) => kind === "missing").map(({ seq }) => seq);
      expect(lost).toEqual(gone.toSorted((left, right) => left - right));
      expect(book.record(SIZE - 1)).toMatchObject({ seq: SIZE - 1 });
      await expectReadOnly(book, opened);
    });
    expect(await contentsOf(join(folder, "store"))).toEqual(before);
  });

  it("is one that was not closed and whose table has a wrong checksum: all but the block around that is shown", async () => {
    const table = await someTable();
    const bytes = await readFile(inStore(table));
    const at = Math.floor(bytes.length * 0.4);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(inStore(table), bytes);
    await writeFile(join(folder, "store.open"), "");
    const before = await contentsOf(join(folder, "store"));
    await withOpened(async (book, opened) => {
      expect(book.damage).toMatch(/the checksums in its table \d+\.ldb do not fit/);
      const { damaged } = await book.verify();
      expect(damaged.length).toBeGreaterThan(0);
      // A block of 4 KiB has a few rows.
      expect(damaged.length).toBeLessThan(100);
      await expectReadOnly(book, opened);
    });
    expect(await contentsOf(join(folder, "store"))).toEqual(before);
  });

  it("is copied anew at each start, and opened itself once it can be", async () => {
    await rm(inStore("CURRENT"));
    for (let start = 0; start < 2; start += 1) await withOpened(async (book) => expect(book.damage).not.toBeNull());
    await cp(join(sound, "store", "CURRENT"), inStore("CURRENT"));
    await withOpened(async (book) => {
      expect(book.damage).toBeNull();
      expect(exportOf(book)).toBe(exported);
    });
  });
});

/** A merge that the closing cut short leaves tables that are none of the store, and a repair finds their rows all the same. */
async function removeLeftovers(store: string): Promise<void> {
  const live = (await liveTables(store)) ?? [];
  const tables = (await readdir(store)).filter((name) => name.endsWith(".ldb"));
  for (const name of tables) if (!live.includes(name)) await rm(join(store, name));
}

/** A table that belongs to the store, the first of them: when LevelDB merges them is its own affair. */
async function someTable(): Promise<string> {
  const [first] = ((await liveTables(join(folder, "store"))) ?? []).toSorted();
  if (first === undefined) throw new Error("the store has no table");
  return first;
}

function inStore(name: string): string {
  return join(folder, "store", name);
}

function open(migration?: Migration): Promise<OpenedStore> {
  const copy = join(folder, "copy");
  return openBookStore(join(folder, "store"), migration === undefined ? { copy } : { copy, migration });
}

async function withOpened(
  use: (book: Book, opened: OpenedStore) => Promise<unknown>,
  migration?: Migration,
): Promise<void> {
  const opened = await open(migration);
  const headNote = join(folder, "head.note");
  const book = await Book.open({ ...opened, name: "production", origin: ORIGIN, headNote });
  try {
    await use(book, opened);
  } finally {
    await book.close();
    await opened.close();
  }
}

async function expectReadOnly(book: Book, { store }: OpenedStore): Promise<void> {
  const append = store.write((tx) => book.append(tx, inputFor(SIZE, null), idOf(SIZE)));
  await expect(append).rejects.toMatchObject({ code: "book_damaged" });
  const other = store.write((tx) => tx.put(Buffer.from("s/other"), Buffer.from("1")));
  await expect(other).rejects.toMatchObject({ code: "book_damaged" });
}

async function spoilManifest(): Promise<void> {
  const name = (await readdir(join(folder, "store"))).find((file) => file.startsWith("MANIFEST-")) as string;
  const bytes = await readFile(inStore(name));
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
  await writeFile(inStore(name), bytes);
}

/** What lies in a folder, but for LevelDB's own log of what it does and its lock. */
async function contentsOf(path: string): Promise<[string, string][]> {
  const names = (await readdir(path)).filter((name) => !/^LOG|^LOCK$/.test(name)).toSorted();
  return Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      const hash = createHash("sha256").update(await readFile(join(path, name)));
      return [name, hash.digest("hex")];
    }),
  );
}
