import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { checkBackup, requireWholeBackup } from "../../../../lib/storage/backup/check.ts";
import { fillStore } from "../../../../lib/storage/backup/fill.ts";
import { backupName, listBackups } from "../../../../lib/storage/backup/folder.ts";
import { makeBackup } from "../../../../lib/storage/backup/make.ts";
import { writeBackup } from "../../../../lib/storage/backup/write.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { NOW } from "../../../suites/events.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { openBookIn, rowsOf } from "./book-to-back-up.ts";

describe("a backup of a book", () => {
  let folder: string;
  let at: Awaited<ReturnType<typeof openBookIn>>;

  beforeEach(async () => {
    folder = await temporaryFolder();
    at = await openBookIn(folder);
    await at.addMany(0, 300);
    return () => at.close();
  });

  const fileOf = (name: string) => join(folder, "backups", name);

  it("is the store of one moment, whatever is written meanwhile", async () => {
    const { size, root } = at.book.head();
    const before = await rowsOf(at.store);
    const made = at.backup(NOW);
    await at.addMany(300, 200);
    const report = await made;
    expect(report).toMatchObject({ ok: true, records: 300, rows: before.length, header: { size, root } });
    expect(at.book.head().size).toBe(500);

    const copy = await Store.inMemory();
    await fillStore(fileOf(report.name), copy);
    expect(await rowsOf(copy)).toEqual(before);
  });

  it("says first what it is", async () => {
    const { name } = await at.backup(NOW);
    expect(name).toBe("20261124T054405000Z.rastro-backup");
    expect(await listBackups(join(folder, "backups"), "production")).toMatchObject([
      { name, fault: null, header: { v: 1, store: "production", plant: "plant-1", size: 300, why: "request" } },
    ]);
    const bytes = await readFile(fileOf(name));
    expect(bytes.toString("latin1", 0, 16)).toBe("RASTRO-BACKUP 1\n");
  });

  it("is found damaged whichever bit of it is flipped", { timeout: 60_000 }, async () => {
    const { name } = await at.backup(NOW);
    const whole = await readFile(fileOf(name));
    const flipped = join(folder, "flipped.rastro-backup");
    const isDetected = async (bit: number) => {
      const bytes = Buffer.from(whole);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      await writeFile(flipped, bytes);
      // The first line says which format it is: a digit of another format is refused as such.
      const found = await requireWholeBackup(flipped).catch((error: unknown) => error);
      expect(found).toMatchObject({ code: expect.stringMatching(/^backup_(damaged|format)$/) as string });
    };
    // The prefixes of the first frames bit by bit, and anything anywhere.
    for (let bit = 0; bit < (16 + 37) * 8; bit += 1) await isDetected(bit);
    for (let bit = (whole.length - 40) * 8; bit < whole.length * 8; bit += 1) await isDetected(bit);
    await fc.assert(fc.asyncProperty(fc.nat(whole.length * 8 - 1), isDetected), { numRuns: 300 });
  });

  it("is found damaged wherever it is cut off or lengthened", async () => {
    const { name } = await at.backup(NOW);
    const whole = await readFile(fileOf(name));
    const cut = join(folder, "cut.rastro-backup");
    const isDetected = async (length: number) => {
      await writeFile(cut, length < whole.length ? whole.subarray(0, length) : Buffer.concat([whole, whole]));
      await expect(requireWholeBackup(cut)).rejects.toMatchObject({ code: "backup_damaged" });
    };
    await fc.assert(fc.asyncProperty(fc.nat(whole.length), isDetected), { numRuns: 100 });
  });

  it("names the frame that is damaged, and reads the others", async () => {
    await at.addMany(300, 700);
    const { name, rows } = await at.backup(NOW);
    const bytes = await readFile(fileOf(name));
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] as number) ^ 0x10;
    await writeFile(fileOf(name), bytes);
    const { report } = await checkBackup(fileOf(name));
    expect(report.ok).toBe(false);
    const [first] = report.faults;
    expect(first?.what).toBe("its bytes do not hash to what it says");
    expect(first?.offset).toBeLessThan(bytes.length / 2);
    expect(report.rows).toBeGreaterThan(0);
    expect(report.rows).toBeLessThan(rows);
  });

  it("does not pass with the records of another book under its head", async () => {
    const header = (await at.backup(NOW)).header;
    if (header === null) throw new Error("there is no header");
    await at.addMany(300, 1);
    const snapshot = at.store.snapshot();
    onTestFinished(() => snapshot.close());
    const file = join(folder, "other.rastro-backup");
    await writeBackup({ snapshot, header, file, check: () => Promise.resolve() });
    const { report } = await checkBackup(file);
    expect(report.faults.map(({ what }) => what)).toEqual([
      expect.stringContaining("the header says 300 records"),
      expect.stringContaining("the 301 records give the root"),
      expect.stringContaining("the 301 leaves of the tree give the root"),
    ]);
  });

  it("is refused in another format", async () => {
    const { name } = await at.backup(NOW);
    const bytes = await readFile(fileOf(name));
    bytes.write("0", 14, "latin1");
    await writeFile(fileOf(name), bytes);
    await expect(checkBackup(fileOf(name))).rejects.toMatchObject({ code: "backup_format" });
  });

  it("leaves no draft when it fails, and the next one succeeds", async () => {
    let fails = true;
    const store = {
      snapshot() {
        const snapshot = at.store.snapshot();
        const get = (key: Buffer) => snapshot.get(key);
        return {
          get,
          close: () => snapshot.close(),
          async *rows(range?: Parameters<typeof snapshot.rows>[0]) {
            yield* snapshot.rows(range);
            if (fails && range === undefined)
              throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
          },
        } as unknown as ReturnType<Store["snapshot"]>;
      },
    };
    const options = {
      store,
      name: "production" as const,
      plant: "plant-1",
      origin: "plant-1/production",
      folder: join(folder, "backups"),
      why: "schedule" as const,
      app: "test",
      now: () => NOW,
    };
    const failed = makeBackup(options);
    await expect(failed).rejects.toMatchObject({ code: "store_unusable" });
    await expect(failed).rejects.toThrow("no space left on device");
    expect(await readdir(options.folder)).toEqual([]);
    fails = false;
    expect(await makeBackup(options)).toMatchObject({ ok: true });
    expect(await readdir(options.folder)).toEqual([backupName(NOW)]);
  });
});

describe("a backup of any rows", () => {
  it("gives the same keys and values back", async () => {
    const folder = await temporaryFolder();
    let n = 0;
    const bytes = (minimum: number) => fc.uint8Array({ minLength: minimum, maxLength: 300 });
    // The first byte of a key says what it is for: a letter.
    const row = fc.tuple(fc.constantFrom("s", "v", "q", "p"), bytes(0), bytes(0));
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 80 }), async (rows) => {
        const store = await Store.inMemory();
        await store.write((tx) => {
          for (const [kind, key, value] of rows) tx.put(Buffer.concat([Buffer.from(kind), key]), Buffer.from(value));
        });
        const options = { plant: "plant-1", origin: null, folder, why: "request" as const, app: "test" };
        const { name } = await makeBackup({ store, name: "fleet", ...options, now: () => NOW + n++ });
        const copy = await Store.inMemory();
        await fillStore(join(folder, name), copy);
        expect(await rowsOf(copy)).toEqual(await rowsOf(store));
        await copy.close();
        await store.close();
      }),
      { numRuns: 50 },
    );
  });
});
