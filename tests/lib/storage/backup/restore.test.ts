import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { RestoredMark } from "../../../../lib/contracts/backup.ts";
import { leafHash } from "../../../../lib/ledger/hash.ts";
import { appendLeaf, EMPTY_RANGE, rootOf } from "../../../../lib/ledger/tree.ts";
import { formatHeadNote, parseHeadNote } from "../../../../lib/ledger/head-note.ts";
import { backupsIn } from "../../../../lib/storage/backup/folder.ts";
import { checkBackup } from "../../../../lib/storage/backup/check.ts";
import { makeBackup } from "../../../../lib/storage/backup/make.ts";
import { openLevel } from "../../../../lib/storage/level/database.ts";
import { restoreBackup, type RestoreOptions } from "../../../../lib/storage/backup/restore.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { draft, idOf, NOW } from "../../../suites/events.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { toFormat1 } from "../../../support/format-1.ts";
import { openBookIn, ORIGIN, rowsOf } from "./book-to-back-up.ts";

const LATER = NOW + 60_000;

describe("restoring a book", () => {
  let folder: string;
  let marks: RestoredMark[];
  let backup: string;

  /** A book of 80 records, backed up at 50. */
  beforeEach(async () => {
    folder = await temporaryFolder();
    marks = [];
    const at = await openBookIn(folder);
    await at.addMany(0, 50);
    await at.outbox.settle([{ id: idOf(0), status: "booked", book: "audit", seq: 9, leaf: "00".repeat(32) }]);
    backup = (await at.backup(NOW)).name;
    await at.addMany(50, 30);
    await at.close();
  });

  const restore = (change: Partial<RestoreOptions> = {}) =>
    restoreBackup({
      place: {
        name: "production",
        plant: "plant-1",
        folder: join(folder, "store"),
        book: { origin: ORIGIN, headNote: join(folder, "head.note"), writeNote: formatHeadNote },
        backups: join(folder, "backups"),
        aside: join(folder, "aside"),
      },
      file: join(folder, "backups", backup),
      known: [],
      olderFor: null,
      by: "tester",
      reason: null,
      event: idOf(999),
      app: "rastro@test",
      now: () => LATER,
      random: (length) => Buffer.alloc(length, 7),
      leaveMark: async (mark) => void marks.push(mark),
      ...change,
    });
  const onPurpose = { olderFor: "The disk was lost", reason: "The disk was lost" };
  /** Makes a backup of the first 50 as an older version did. */
  async function olderFormat(): Promise<string> {
    const at = join(folder, "older");
    const first = await openBookIn(at);
    await first.addMany(0, 50);
    await first.close();
    const database = await openLevel(join(at, "store"));
    await toFormat1(database);
    await database.close();
    const store = await Store.openFolder(join(at, "store"), { migration: "none" });
    const { name } = await makeBackup({
      store,
      name: "production",
      plant: "plant-1",
      origin: ORIGIN,
      folder: join(folder, "backups"),
      why: "schedule",
      app: "production@test",
      now: () => NOW + 1,
    });
    await store.close();
    return name;
  }
  const openAgain = () => openBookIn(folder);

  it("refuses one that is older than the head note knows, and leaves all as it is", async () => {
    await expect(restore()).rejects.toMatchObject({ code: "older_backup" });
    await expect(restore()).rejects.toThrow("the head note knows of 80 records, the backup has 50");
    const at = await openAgain();
    expect(at.book.head().size).toBe(80);
    expect(marks).toEqual([]);
    await at.close();
  });

  it("refuses one that is older than a store without its note, and one that a witness knows to be older", async () => {
    await rm(join(folder, "head.note"));
    await expect(restore()).rejects.toThrow("the store that is there knows of 80 records");
    await rm(join(folder, "store"), { recursive: true });
    const known = [{ size: 60, root: Buffer.alloc(32), by: "a witness" }];
    await expect(restore({ known })).rejects.toThrow("a witness knows of 60 records, the backup has 50");
  });

  it("refuses one of another history, though it is as large", async () => {
    await rm(join(folder, "head.note"));
    await rm(join(folder, "store"), { recursive: true });
    const known = [{ size: 20, root: Buffer.alloc(32, 1), by: "a witness" }];
    await expect(restore({ known })).rejects.toThrow("a witness has another root for the first 20 records");
  });

  it("brings one of a store of an older format to the format of now, and leaves word of that too", async () => {
    const old = await olderFormat();
    const { header, saved, notSaved } = await restore({ file: join(folder, "backups", old), ...onPurpose });
    expect(header).toMatchObject({ size: 50, storeFormat: "1" });
    expect({ saved, notSaved }).toMatchObject({ saved: expect.any(String) as string, notSaved: null });
    const at = await openAgain();
    expect(at.book.damage).toBeNull();
    expect(await at.book.verify()).toMatchObject({ ok: true, size: 50 });
    expect(JSON.parse(at.store.getNow(Buffer.from("m/migrated"))?.toString() ?? "")).toMatchObject({
      from: 1,
      to: 2,
      backup: old,
      size: 50,
    });
    await at.addMany(100, 20);
    expect(await at.book.verify()).toMatchObject({ ok: true, size: 70 });
    await at.close();
  });

  it("can be done where a store of an older format is, which is kept as it is", async () => {
    const database = await openLevel(join(folder, "store"));
    await toFormat1(database);
    await database.close();
    const { saved } = await restore(onPurpose);
    const kept = await checkBackup(join(folder, "backups", saved ?? ""));
    expect(kept.report).toMatchObject({ ok: true, records: 80, header: { storeFormat: "1", size: 80 } });
  });

  it("puts it in place on purpose, keeps what was there, and leaves word of it", async () => {
    const restored = await restore(onPurpose);
    expect(restored).toMatchObject({ notSaved: null, header: { size: 50 } });
    const at = await openAgain();
    expect(at.book.damage).toBeNull();
    expect(await at.book.verify()).toMatchObject({ ok: true, size: 50 });
    expect(parseHeadNote(await readFile(join(folder, "head.note"), "utf8")).size).toBe(50);
    await at.close();

    const aside = await Store.openFolder(join(folder, "aside", "store"));
    expect(await rowsOf(aside)).not.toEqual([]);
    await aside.close();
    expect(parseHeadNote(await readFile(join(folder, "aside", "head.note"), "utf8")).size).toBe(80);
    expect(await backupsIn(join(folder, "backups"))).toEqual([restored.saved, backup]);
    expect(marks.map(({ state }) => state)).toEqual(["cut-off", "done"]);
    expect(marks[1]).toMatchObject({ from: { size: 80 }, to: { size: 50 }, older: true, reason: "The disk was lost" });
  });

  it("needs no purpose where the backup has all that is known", async () => {
    const at = await openAgain();
    backup = (await at.backup(NOW + 1)).name;
    await at.close();
    await restore({ known: [{ ...(await headAt(50)), by: "a witness" }] });
    expect(marks[1]).toMatchObject({ from: { size: 80 }, to: { size: 80 }, older: false });
  });

  it("numbers what the outbox keeps anew, under a new epoch", async () => {
    await restore(onPurpose);
    const at = await openAgain();
    expect(at.outbox.epoch).toBe("07".repeat(8));
    expect(at.outbox.depth()).toMatchObject({ waiting: 49, sealed: 1 });
    const entries = await at.outbox.read({ from: 1, maxEvents: 100, maxBytes: 1e9 });
    expect(entries.map(({ dseq, id }) => [dseq, id])).toEqual(Array.from({ length: 50 }, (_, n) => [n + 1, idOf(n)]));
    const { event } = JSON.parse(entries[3]?.text ?? "") as { event: { src: unknown; id: string } };
    expect(event).toMatchObject({ id: idOf(3), src: { outbox: { epoch: "07".repeat(8), dseq: 4 } } });
    await at.store.write((tx) => at.outbox.stage(tx, draft(500)));
    expect((await at.outbox.read({ from: null, maxEvents: 100, maxBytes: 1e9 })).at(-1)).toMatchObject({ dseq: 51 });
    await at.close();
  });

  it("does not touch a store that is open, nor take a backup of another plant", async () => {
    const at = await openAgain();
    await expect(restore(onPurpose)).rejects.toMatchObject({ code: "store_locked" });
    await at.close();
    const place = { name: "production", plant: "plant-2", folder: join(folder, "store"), book: null } as const;
    const elsewhere = { ...place, backups: join(folder, "backups"), aside: join(folder, "aside") };
    await expect(restore({ ...onPurpose, place: elsewhere })).rejects.toMatchObject({ code: "backup_format" });
  });

  async function headAt(size: number) {
    const at = await openAgain();
    let range = EMPTY_RANGE;
    for (let seq = 0; seq < size; seq += 1) {
      range = appendLeaf(range, leafHash(Buffer.from(at.book.record(seq)?.bytes ?? "", "base64"))).range;
    }
    await at.close();
    return { size, root: rootOf(range) };
  }
});
