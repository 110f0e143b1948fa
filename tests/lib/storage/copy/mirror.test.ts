import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCheckpoint, signCheckpoint } from "../../../../lib/ledger/checkpoint.ts";
import { formatNote } from "../../../../lib/ledger/signed-note.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Mirror } from "../../../../lib/storage/copy/mirror.ts";
import { MIGRATE_A_COPY } from "../../../../lib/storage/migration/migration.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { rowsOf } from "../../../support/book-rows.ts";
import { toFormat1 } from "../../../support/format-1.ts";
import { forged, forgedFrom, type LogToFollow, logToFollow } from "../../../support/log-to-follow.ts";
import { FaultyDatabase } from "../../../suites/faulty-database.ts";
import { openMemory } from "../../../../lib/storage/level/database.ts";

const now = () => Date.parse("2026-11-24T12:00:00.000Z");
const open = (store: Store) => Mirror.open({ store, name: "audit", now });

/** Every row of a book that its own service would write: not what a mirror keeps beside it. */
const bookRows = (store: Store) => rowsOf(store, "dmnr");

async function follow(mirror: Mirror, log: LogToFollow, page = 7): Promise<boolean> {
  const checkpoint = parseCheckpoint(log.checkpoint());
  await mirror.note(checkpoint);
  while (mirror.held < checkpoint.head.size) {
    const records = log.read(mirror.held, Math.min(page, checkpoint.head.size - mirror.held));
    if (!(await mirror.append(records))) return false;
  }
  return mirror.prove(checkpoint);
}

describe("a mirror", () => {
  it("has the very rows of the book that it follows, however it came by them", { timeout: 30_000 }, async () => {
    const step = fc.record({ grow: fc.nat(20), page: fc.integer({ min: 1, max: 9 }), reopen: fc.boolean() });
    const following = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const log = await logToFollow();
      const store = await Store.inMemory();
      let mirror = open(store);
      for (const { grow, page, reopen } of steps) {
        await log.grow(grow);
        expect(await follow(mirror, log, page)).toBe(true);
        if (reopen) mirror = open(store);
        const { size, root } = log.book.head();
        expect(mirror.proven?.head).toMatchObject({ size, root: Buffer.from(root, "hex") });
        expect(formatNote(mirror.proven?.note ?? { text: "", signatures: [] })).toBe(log.checkpoint());
      }
      expect(await bookRows(store)).toEqual(await bookRows(log.store));
      const copy = await Book.open({ store, name: "audit", origin: log.book.origin });
      expect(await copy.verify()).toMatchObject({ ok: true, ...rootAndSize(log) });
    });
    await fc.assert(following, { numRuns: 40 });
  });

  it("goes on in a store of an older format, which needs no backup: it is a copy", async () => {
    const log = await logToFollow();
    await log.grow(300);
    const database = await openMemory();
    const before = await Store.onDatabase(database, "memory");
    await follow(open(before), log, 50);
    await before.close();
    await database.open();
    await toFormat1(database);

    const store = await Store.onDatabase(database, "memory", { migration: MIGRATE_A_COPY });
    const mirror = open(store);
    expect(mirror.proven?.head).toMatchObject({ size: 300 });
    await log.grow(40);
    expect(await follow(mirror, log)).toBe(true);
    expect(await bookRows(store)).toEqual(await bookRows(log.store));
  });

  it("keeps none of the records that do not continue it, and what is proven", async () => {
    const log = await logToFollow();
    await log.grow(20);
    const store = await Store.inMemory();
    const mirror = open(store);
    await follow(mirror, log);
    await log.grow(20);
    const [first = Buffer.alloc(0), ...rest] = log.read(20, 20);
    const spoiled: Buffer[][] = [
      [first, forged(rest[0] as Buffer), ...rest.slice(1)],
      [first, ...rest.slice(1)],
      [forged(first, { prev: "00".repeat(32) })],
      [forged(first, { seq: 21 })],
      [Buffer.concat([first, Buffer.from(" ")])],
      [Buffer.from("no record")],
      log.read(3, 1),
    ];
    for (const records of spoiled) {
      const before = await bookRows(store);
      expect(await mirror.append(records)).toBe(false);
      expect(mirror.divergence).toMatchObject({ kind: "records", why: expect.stringMatching(/^record 2\d /) });
      expect(await bookRows(store)).toEqual(before);
      expect(mirror.proven?.head.size).toBe(20);
      expect(await mirror.append(log.read(20, 1)), "it follows no more").toBe(false);
      await mirror.startOver();
    }
    expect(await follow(mirror, log)).toBe(true);
    expect(await bookRows(store)).toEqual(await bookRows(log.store));
  });

  it("does not take an id that another record has", async () => {
    const log = await logToFollow();
    await log.grow(3);
    const mirror = open(await Store.inMemory());
    const [, second] = log.read(0, 2);
    expect(await mirror.append(log.read(0, 2))).toBe(true);
    const again = forged(second as Buffer, { seq: 2, prev: log.book.leafAt(1) ?? "" });
    expect(await mirror.append([again])).toBe(false);
    expect(mirror.divergence?.why).toMatch(/has the id .*, which record 1 has already/);
  });

  it("finds a rewritten history by the root that the log signed, keeps both, and begins again when it is told to", async () => {
    const log = await logToFollow();
    await log.grow(13);
    const store = await Store.inMemory();
    let mirror = open(store);
    await follow(mirror, log);
    await log.grow(30);
    const whole = parseCheckpoint(log.checkpoint());
    await mirror.note(whole);
    expect(await mirror.append(forgedFrom(log.read(13, 30))), "each continues the one before").toBe(true);
    expect(await mirror.prove(whole)).toBe(false);
    mirror = open(store);
    expect(mirror.divergence).toMatchObject({ kind: "records", checkpoint: log.checkpoint() });
    expect(mirror.proven?.head.size).toBe(13);
    expect(mirror.newest?.head.size).toBe(43);
    expect(mirror.held, "what was served is kept").toBe(43);

    await mirror.startOver();
    expect(mirror.held).toBe(13);
    expect(await follow(mirror, log)).toBe(true);
    expect(await bookRows(store)).toEqual(await bookRows(log.store));
  });

  it("tells a log that signed two histories, and one that lost its tail", async () => {
    const log = await logToFollow();
    await log.grow(10);
    const early = parseCheckpoint(log.checkpoint());
    await log.grow(10);
    const store = await Store.inMemory();
    const mirror = open(store);
    await follow(mirror, log);
    expect(await mirror.note(parseCheckpoint(log.checkpoint()))).toBe("known");
    expect(await mirror.note(early), "of the same history").toBe("older");
    expect(mirror.divergence).toBeNull();

    const other = parseCheckpoint(log.checkpoint({ size: 10, root: Buffer.alloc(32, 7) }));
    expect(await mirror.note(other)).toBe("diverged");
    expect(open(store).divergence).toMatchObject({ kind: "fork", checkpoint: formatNote(other.note) });
    expect(open(store).proven?.head.size).toBe(20);
  });

  it("tells two checkpoints of one size apart before it has the records", async () => {
    const log = await logToFollow();
    await log.grow(5);
    const mirror = open(await Store.inMemory());
    expect(await mirror.note(parseCheckpoint(log.checkpoint()))).toBe("newer");
    const other = parseCheckpoint(log.checkpoint({ size: 5, root: Buffer.alloc(32, 7) }));
    expect(await mirror.note(other)).toBe("diverged");
    expect(mirror.divergence?.kind).toBe("fork");
  });

  it("proves an empty log", async () => {
    const log = await logToFollow();
    const mirror = open(await Store.inMemory());
    expect(await follow(mirror, log)).toBe(true);
    expect(mirror.proven?.head.size).toBe(0);
  });

  it("goes on after a batch that failed, written or not", async () => {
    for (const when of ["not-written", "written"] as const) {
      const log = await logToFollow();
      await log.grow(12);
      const database = new FaultyDatabase(await openMemory());
      const mirror = open(await Store.onDatabase(database, "the test's store"));
      await mirror.append(log.read(0, 5));
      database.faults.push(when);
      await expect(mirror.append(log.read(5, 5))).rejects.toMatchObject({ code: "store_unusable" });
      expect(mirror.held).toBe(when === "written" ? 10 : 5);
      expect(await follow(mirror, log)).toBe(true);
    }
  });

  it("does not open on records that do not give what was proven", async () => {
    const log = await logToFollow();
    await log.grow(9);
    const store = await Store.inMemory();
    await follow(open(store), log);
    const { privateKey } = log.key;
    const other = signCheckpoint({ origin: log.book.origin, size: 9, root: Buffer.alloc(32, 1) }, [privateKey]);
    const state = JSON.stringify({ v: 1, newest: other, proven: other, divergence: null, rotations: [] });
    await store.write((tx) => tx.put(Buffer.from("s/mirror"), Buffer.from(state)));
    expect(() => open(store)).toThrow(/root that was proven at 9/);
  });
});

function rootAndSize(log: LogToFollow) {
  const { size, root } = log.book.head();
  return { size, root };
}
