import { beforeEach, describe, expect, it } from "vitest";
import { Book } from "../../../../lib/storage/book/book.ts";
import { type Database, openMemory, type Operation } from "../../../../lib/storage/level/database.ts";
import { bringUpToDate } from "../../../../lib/storage/migration/migrate.ts";
import { MIGRATE_A_COPY, type Migration } from "../../../../lib/storage/migration/migration.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, inputFor, NOW } from "../../../suites/events.ts";
import { leavesIn, rowsUnder, tilesIn, tilesOver, toFormat1, treeKey, treeOf } from "../../../support/format-1.ts";

const AT = new Date(NOW).toISOString();
const FORMAT = Buffer.from("m/format");
/** Enough for three levels of tiles. */
const SIZE = 300;
/** So many that each part of it takes more than one batch. */
const LARGE = 5000;

/** A database that is used again after what has it open closes it. */
async function databaseOf(records: number): Promise<Database> {
  const database = await openMemory();
  const store = await Store.onDatabase(database, "memory");
  const book = await Book.open({ store, name: "production", origin: "test/production" });
  for (let n = 0; n < records; n += 1) await store.write((tx) => book.append(tx, inputFor(n, null), idOf(n)));
  await store.close();
  await database.open();
  await toFormat1(database);
  return database;
}

async function allRows(database: Database, but = ""): Promise<string[]> {
  const rows: string[] = [];
  for (const letter of "abcdefghijklmnopqrstuvwxyz") {
    if (but.includes(letter)) continue;
    for (const [key, value] of await rowsUnder(database, letter))
      rows.push(`${key.toString("hex")} ${value.toString("hex")}`);
  }
  return rows;
}

const formatIn = (database: Database) => database.getSync(FORMAT)?.toString();

describe("bringing a book from format 1 to format 2", () => {
  let database: Database;
  let saved: (string | undefined)[];
  let told: string[];
  let migration: Migration;

  beforeEach(async () => {
    database = await databaseOf(SIZE);
    saved = [];
    told = [];
    migration = {
      at: AT,
      async backUp(store) {
        const snapshot = store.snapshot();
        saved.push(snapshot.get(FORMAT)?.toString());
        await snapshot.close();
        return `backup-${saved.length}`;
      },
      onProgress: (phase) => void (told.at(-1) === phase || told.push(phase)),
    };
  });

  const migrate = (on = database) => bringUpToDate(on, "here", { migration });

  /** What is to be after it, whatever happened on the way. */
  async function requireMigrated(leaves: Buffer[], others: string[]): Promise<void> {
    expect(formatIn(database)).toBe("2");
    expect(await tilesIn(database)).toEqual(tilesOver(leaves));
    expect(await rowsUnder(database, "t")).toEqual([]);
    expect((await rowsUnder(database, "m")).map(([key]) => key.toString())).toEqual([
      "m/format",
      "m/head",
      "m/migrated",
    ]);
    expect(await allRows(database, "dmn")).toEqual(others);
  }

  it("backs it up, puts every tile in its place, changes nothing else, and leaves word", async () => {
    const [leaves, others] = [await leavesIn(database), await allRows(database, "dmn")];
    await migrate();
    await requireMigrated(leaves, others);
    expect((await rowsUnder(database, "d")).map((row) => row.map(String))).toEqual(
      Array.from({ length: SIZE }, (_, n) => [`d${idOf(n)}`, String(n)]),
    );
    expect(saved).toEqual(["1"]);
    expect(told).toEqual(["new", "compare", "place", "compare"]);
    expect(JSON.parse(database.getSync(Buffer.from("m/migrated"))?.toString() ?? "")).toMatchObject({
      at: AT,
      from: 1,
      to: 2,
      backup: "backup-1",
      size: SIZE,
    });
    await migrate();
    expect(saved).toHaveLength(1);
  });

  it.each([
    ["was not written", false],
    ["was written, which is not known", true],
  ])("goes on wherever it was cut off, at a batch that %s", async (_what, isWritten) => {
    let batches = 0;
    for (let isCut = true; isCut; batches += 1) {
      database = await openMemory();
      const leaves = await treeOf(database, LARGE);
      saved = [];
      isCut = await migrate(cutOff(database, batches, isWritten)).then(
        () => false,
        () => true,
      );
      if (isCut) await migrate();
      await requireMigrated(leaves, []);
      // Cut off before the first batch, nothing says that there is a backup.
      expect(saved).toHaveLength(isCut && batches === 0 && !isWritten ? 2 : 1);
    }
    expect(batches).toBeGreaterThan(10);
  });

  it("goes on through one cut after another", async () => {
    const [leaves, others] = [await leavesIn(database), await allRows(database, "dmn")];
    let cuts = 0;
    while (formatIn(database) !== "2") {
      await migrate(cutOff(database, 1, true)).catch(() => (cuts += 1));
      expect(cuts).toBeLessThan(20);
    }
    await requireMigrated(leaves, others);
    expect(cuts).toBeGreaterThan(2);
  });

  it("backs it up again where an older version has written to it since", async () => {
    await migrate(cutOff(database, 2, true)).catch(() => undefined);
    expect(formatIn(database)).toBe("1");
    const other = await databaseOf(SIZE + 1);
    const newer = (await Promise.all(["d", "m", "n", "r"].map((letter) => rowsUnder(other, letter)))).flat();
    await database.batch(
      newer.map(([key, value]): Operation => ({ type: "put", key, value })),
      { sync: true },
    );
    const [leaves, others] = [await leavesIn(database), await allRows(database, "dmnt")];
    await migrate();
    await requireMigrated(leaves, others);
    expect(saved).toEqual(["1", "1"]);
  });

  it.each([
    ["a leaf that is gone", "leaf 17 of the tree is missing", { type: "del", key: treeKey(0, 17) }],
    ["a last leaf that is gone", "the 299 leaves of the tree give", { type: "del", key: treeKey(0, SIZE - 1) }],
    [
      "a leaf that was changed",
      "and the book's head has",
      { type: "put", key: treeKey(0, 17), value: Buffer.alloc(32) },
    ],
    ["half a leaf", "leaf 17 of the tree is no hash", { type: "put", key: treeKey(0, 17), value: Buffer.alloc(31) }],
    ["a leaf too many", "the 301 leaves", { type: "put", key: treeKey(0, SIZE), value: Buffer.alloc(32) }],
    ["a head that is none", "are no head", { type: "put", key: Buffer.from("m/head"), value: Buffer.alloc(9) }],
    ["a head that is gone", "over 0 records", { type: "del", key: Buffer.from("m/head") }],
  ] as [string, string, Operation][])("leaves one as it is that has %s", async (_what, why, fault) => {
    await database.batch([fault], { sync: true });
    const before = await allRows(database);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(migrate()).rejects.toMatchObject({
        code: "store_unusable",
        message: expect.stringMatching(`${why}.*Nothing of it was changed.*restore`) as string,
      });
    }
    await database.batch([{ type: "del", key: Buffer.from("m/migration") }], { sync: true });
    expect(await allRows(database)).toEqual(before);
  });

  it("takes one backup of a damaged one, however often it is started", async () => {
    await database.batch([{ type: "del", key: treeKey(0, 17) }], { sync: true });
    for (let attempt = 0; attempt < 3; attempt += 1) await expect(migrate()).rejects.toThrow("leaf 17");
    expect(saved).toHaveLength(1);
  });

  it("keeps a record that was altered as it is: its leaf says so after it as before", async () => {
    const [leaves] = [await leavesIn(database)];
    const [row] = await rowsUnder(database, "r");
    await database.batch([{ type: "put", key: row?.[0] as Buffer, value: Buffer.from("altered") }], { sync: true });
    await migrate();
    expect(await tilesIn(database)).toEqual(tilesOver(leaves));
    expect(database.getSync(row?.[0] as Buffer)?.toString()).toBe("altered");
  });

  it("puts nothing in place where the mark of what it has dropped is gone, and names the backup", async () => {
    for (let batches = 1; formatIn(database) === "1"; batches += 1)
      await migrate(cutOff(database, batches, true)).catch(() => undefined);
    expect(formatIn(database)).toBe("1to2");
    const tiles = await rowsUnder(database, "t");
    await database.batch([{ type: "put", key: Buffer.from("m/migration"), value: Buffer.from("{") }], { sync: true });
    await expect(migrate()).rejects.toThrow("Restore the backup that was made before");
    expect(await rowsUnder(database, "t")).toEqual(tiles);
  });

  it("can be had in the new form from a copy of one that was cut off anywhere, though nothing is proven", async () => {
    const leaves = await leavesIn(database);
    const marks = new Set<string>();
    for (let batches = 0; batches < 12; batches += 1) {
      database = await databaseOf(SIZE);
      await migrate(cutOff(database, batches, true)).catch(() => undefined);
      marks.add(formatIn(database) ?? "");
      await bringUpToDate(database, "here", { migration: "salvage" });
      expect(formatIn(database)).toBe("2");
      expect(await tilesIn(database)).toEqual(tilesOver(leaves));
    }
    expect([...marks].toSorted()).toEqual(["1", "1to2", "2"]);
  });

  it("leaves in the new form what is missing or wrong in a damaged one", async () => {
    const leaves = await leavesIn(database);
    const zeros = Buffer.alloc(32);
    await database.batch(
      [
        { type: "del", key: treeKey(0, 17) },
        { type: "put", key: treeKey(4, 3), value: Buffer.alloc(32, 7) },
        { type: "put", key: treeKey(0, 40), value: Buffer.alloc(5) },
        { type: "put", key: Buffer.concat([Buffer.from("n"), Buffer.alloc(9, 0xee)]), value: zeros },
      ],
      { sync: true },
    );
    await bringUpToDate(database, "here", { migration: "salvage" });
    const expected = tilesOver(leaves).map(([level, index, hex]) => {
      const bytes = Buffer.from(hex, "hex");
      if (level === 0 && index === 1) bytes.set(zeros, 1 * 32);
      if (level === 0 && index === 2) bytes.set(zeros, 8 * 32);
      if (level === 1 && index === 0) bytes.set(Buffer.alloc(32, 7), 3 * 32);
      return [level, index, bytes.toString("hex")];
    });
    expect(await tilesIn(database)).toEqual(expected);
  });

  it("does not say that it is of the new format with a tile that belongs to no leaf", async () => {
    for (let batches = 1; formatIn(database) === "1"; batches += 1)
      await migrate(cutOff(database, batches, true)).catch(() => undefined);
    await database.batch([{ type: "put", key: treeKey(3, 0, "t"), value: Buffer.alloc(32) }], { sync: true });
    await expect(migrate()).rejects.toThrow(/the tree has \d+ tiles, expected \d+\. Restore the backup .*backup-1/);
    expect(formatIn(database)).toBe("1to2");
  });

  it("is done by nobody who cannot back it up, but for a copy", async () => {
    const before = await allRows(database);
    await expect(bringUpToDate(database, "here")).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringContaining("Start the service of the book") as string,
    });
    await bringUpToDate(database, "here", { migration: "none" });
    expect(await allRows(database)).toEqual(before);
    await bringUpToDate(database, "here", { migration: MIGRATE_A_COPY });
    expect(formatIn(database)).toBe("2");
    expect(database.getSync(Buffer.from("m/migrated"))).toBeUndefined();
  });

  it("is not begun where the backup fails", async () => {
    const before = await allRows(database);
    const backUp = () => Promise.reject(new Error("the disk is full"));
    await expect(bringUpToDate(database, "here", { migration: { ...migration, backUp } })).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringContaining("the disk is full") as string,
    });
    expect(await allRows(database)).toEqual(before);
  });
});

describe("stores without a book", () => {
  it("get the new number alone, without a backup", async () => {
    const database = await openMemory();
    await database.batch(
      [
        { type: "put", key: FORMAT, value: Buffer.from("1") },
        { type: "put", key: Buffer.from("v1"), value: Buffer.from("a row") },
      ],
      { sync: true },
    );
    await bringUpToDate(database, "here");
    expect(formatIn(database)).toBe("2");
    expect(database.getSync(Buffer.from("v1"))?.toString()).toBe("a row");
  });

  it("are of the format of now when they are new", async () => {
    const database = await openMemory();
    await bringUpToDate(database, "here");
    expect(formatIn(database)).toBe("2");
  });
});

it.each(["3", "0", "two", "2to3", ""])("a store of format %j is left alone", async (format) => {
  const database = await openMemory();
  await database.batch([{ type: "put", key: FORMAT, value: Buffer.from(format) }], { sync: true });
  for (const migration of [undefined, "none", MIGRATE_A_COPY] as const) {
    await expect(bringUpToDate(database, "here", { migration })).rejects.toMatchObject({
      code: "store_newer",
      message: expect.stringContaining("Use the version of Rastro that wrote it, or a newer one") as string,
    });
  }
  expect(formatIn(database)).toBe(format);
});

/** As a database is whose process ends at the batch after so many. */
function cutOff(database: Database, batches: number, isWritten: boolean): Database {
  let left = batches;
  const ended = () => new Error("the process has ended");
  return {
    open: () => database.open(),
    close: () => database.close(),
    get: (key) => database.get(key),
    getSync: (key, options) => database.getSync(key, options),
    getMany: (keys) => database.getMany(keys),
    snapshot: () => database.snapshot(),
    iterator: (range) => database.iterator(range),
    async batch(operations, options) {
      if (left < 0) throw ended();
      left -= 1;
      if (left >= 0 || isWritten) await database.batch(operations, options);
      if (left < 0) throw ended();
    },
  };
}
