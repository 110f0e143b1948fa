import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { v7 as newId } from "uuid";
import { beforeEach, describe, expect, it } from "vitest";
import type { BookName } from "../../../lib/contracts/names.ts";
import { PromotionMark } from "../../../lib/contracts/standby.ts";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import { type Folders, foldersOf } from "../../../lib/runtime/folders.ts";
import { openLogKeys } from "../../../lib/runtime/log-keys.ts";
import { leavePromotion, requirePromoted } from "../../../lib/runtime/promotion.ts";
import { Book } from "../../../lib/storage/book/book.ts";
import { Mirror } from "../../../lib/storage/copy/mirror.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { promote, type PromoteOptions } from "../../../services/standby/promote.ts";
import { rowsOf } from "../../support/book-rows.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { type LogToFollow, logToFollow } from "../../support/log-to-follow.ts";

const PLANT = { id: "plant-test", createdAt: "2026-11-24T05:44:05.000Z" };
const now = Date.now;

describe("putting a standby's copies in place", () => {
  let from: Folders;
  let to: Folders;
  let logs: Record<BookName, LogToFollow>;

  beforeEach(async () => {
    from = foldersOf(join(await temporaryFolder(), "standby"));
    to = foldersOf(join(await temporaryFolder(), "hub"));
    logs = { production: await logToFollow("production"), audit: await logToFollow("audit") };
    await logs.production.grow(30);
    await logs.audit.grow(12);
    await follow("production");
    await follow("audit");
  });

  async function onMirror<T>(name: BookName, work: (mirror: Mirror) => Promise<T>): Promise<T> {
    const store = await Store.openFolder(from.mirrorStore(name));
    try {
      return await work(Mirror.open({ store, name, now }));
    } finally {
      await store.close();
    }
  }

  function follow(name: BookName): Promise<void> {
    return onMirror(name, async (mirror) => {
      const checkpoint = parseCheckpoint(logs[name].checkpoint());
      await mirror.note(checkpoint);
      await mirror.append(logs[name].read(mirror.held, 1000));
      expect(await mirror.prove(checkpoint)).toBe(true);
    });
  }

  const place = (change: Partial<PromoteOptions> = {}) =>
    promote({
      act: "promoted",
      books: ["production", "audit"],
      from,
      to,
      joined: {
        v: 1,
        plant: PLANT,
        url: "mqtt://127.0.0.1:1883",
        ca: null,
        logs: {
          production: [formatVerifierKey(logs.production.vkey)],
          audit: [formatVerifierKey(logs.audit.vkey)],
        },
      },
      logKeys: { production: [logs.production.vkey], audit: [logs.audit.vkey] },
      known: async () => [],
      olderOnPurpose: false,
      by: "root",
      reason: "The hub burned",
      newId,
      now,
      ...change,
    });

  /** As its service would open it. */
  async function openPlaced(name: BookName) {
    const signer = await openLogKeys({ folders: to, book: name, plant: PLANT.id });
    const store = await Store.openFolder(to.bookStore(name));
    const book = await Book.open({ store, name, origin: signer.origin, headNote: to.headNote(name), signer });
    const found = { damage: book.damage, head: book.head() };
    await book.close();
    await store.close();
    return found;
  }

  it("makes a plant's data folder with both books, and leaves the standby's as it was", async () => {
    const marks = await place();
    expect(marks).toEqual([
      expect.objectContaining({ book: "audit", state: "done", size: 12, known: 12, untold: null, aside: null }),
      expect.objectContaining({ book: "production", state: "done", size: 30, known: 30, untold: 0, aside: null }),
    ]);
    for (const name of ["production", "audit"] as const) {
      expect(await requirePromoted(to.promotion(name))).toMatchObject({ book: name, state: "done", by: "root" });
      expect(await openPlaced(name)).toEqual({ damage: null, head: logs[name].book.head() });
      expect(await onMirror(name, async ({ held }) => held)).toBe(logs[name].book.head().size);
    }
    expect(await readdir(to.data)).not.toContain("production.incoming");
  });

  it("brings what was set apart along, and says of how much the bytes are lacking", async () => {
    for (const raw of ["kept", "lost"]) await logs.audit.setApart(raw);
    await follow("audit");
    await onMirror("audit", async ({ quarantine, held }) => {
      const [kept] = await quarantine.wanted(held);
      if (kept !== undefined) await quarantine.keep(kept, Buffer.from('"kept"'));
    });
    expect(await place()).toMatchObject([
      { book: "audit", size: 14, lacking: 1 },
      { book: "production", lacking: 0 },
    ]);
    const store = await Store.openFolder(to.bookStore("audit"));
    const rows = await rowsOf(store, "q");
    await store.close();
    expect(rows).toHaveLength(1);
    expect(await rowsOf(logs.audit.store, "q")).toContain(rows[0]);
  });

  it("moves what is there aside, also when it cannot be opened", async () => {
    await mkdir(to.bookStore("audit"), { recursive: true });
    await writeFile(join(to.bookStore("audit"), "CURRENT"), "rubbish");
    await writeFile(to.headNote("audit"), "rubbish");
    const [audit] = await place();
    expect(existsSync(join(audit?.aside ?? "", "store", "CURRENT"))).toBe(true);
    expect(existsSync(join(audit?.aside ?? "", "head.note"))).toBe(true);
    expect(await openPlaced("audit")).toMatchObject({ damage: null });
  });

  it("does not touch a book whose service runs, nor a copy whose standby runs", async () => {
    const running = await Store.openFolder(to.bookStore("audit"));
    await expect(place()).rejects.toMatchObject({ code: "store_locked" });
    await running.close();
    const standby = await Store.openFolder(from.mirrorStore("production"));
    await expect(place()).rejects.toMatchObject({ code: "store_locked" });
    await standby.close();
    expect(existsSync(to.promotion("audit"))).toBe(false);
  });

  it("refuses an older book than is known, unless it is meant so", async () => {
    await logs.production.grow(5);
    await onMirror("production", (mirror) => mirror.note(parseCheckpoint(logs.production.checkpoint())));
    await expect(place()).rejects.toMatchObject({
      code: "copy_unproven",
      message: expect.stringContaining("a checkpoint that the log has signed knows of 35 records, the standby has 30"),
    });
    const [, production] = await place({ olderOnPurpose: true });
    expect(production).toMatchObject({ size: 30, known: 35 });
  });

  it("refuses where the head note in place knows more, or another history", async () => {
    await place();
    const grown = await logToFollow("audit");
    for (const [count, why] of [
      [20, "the head note knows of 20 records, the standby has 12"],
      [0, "the head note has another root for the first 12 records than the standby"],
    ] as const) {
      await grown.grow(count);
      const note = count === 0 ? parseCheckpoint(logs.audit.checkpoint({ size: 12, root: Buffer.alloc(32, 9) })) : null;
      await writeFile(to.headNote("audit"), note === null ? grown.checkpoint() : logs.audit.checkpoint(note.head));
      await expect(place()).rejects.toThrow(why);
    }
  });

  it("refuses what witnesses have seen more of", async () => {
    const seen = { size: 13, root: Buffer.alloc(32), by: "the witness ipc-07" };
    const known = async (book: BookName) => (book === "audit" ? [seen] : []);
    await expect(place({ known })).rejects.toThrow("the witness ipc-07 knows of 13 records, the standby has 12");
    expect(await place({ known, olderOnPurpose: true })).toMatchObject([{ known: 13 }, { known: 30 }]);
  });

  it("refuses a copy that has diverged, and one that was never proven", async () => {
    await onMirror("audit", (mirror) => mirror.append([Buffer.from("no record")]));
    await expect(place()).rejects.toThrow(/has diverged: record 12 is not the canonical form/);
    const [audit] = await place({ olderOnPurpose: true });
    expect(audit).toMatchObject({ book: "audit", size: 12 });
    await expect(place({ from: foldersOf(await temporaryFolder()) })).rejects.toThrow("nothing of it has been proven");
  });

  it("refuses a copy that is damaged on its own disk", async () => {
    const store = await Store.openFolder(from.mirrorStore("audit"));
    const key = Buffer.concat([Buffer.from("r"), Buffer.from([0, 0, 0, 0, 0, 0, 0, 5])]);
    const bytes = store.getNow(key) ?? Buffer.alloc(0);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await store.write((tx) => tx.put(key, bytes));
    await store.close();
    await expect(place()).rejects.toMatchObject({ code: "book_damaged" });
    expect(existsSync(to.bookStore("audit"))).toBe(false);
  });

  it("refuses another plant's data folder", async () => {
    await mkdir(to.data, { recursive: true });
    await writeFile(to.plant, JSON.stringify({ ...PLANT, id: "plant-other" }));
    await expect(place()).rejects.toMatchObject({ code: "not_allowed" });
  });

  it("lets no service open what was cut off, and does it again", async () => {
    const [mark] = await place();
    const cutOff = PromotionMark.parse({ ...mark, state: "cut-off" });
    await leavePromotion(to.promotion("audit"), cutOff);
    await expect(requirePromoted(to.promotion("audit"))).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringContaining('Run "rastro standby promote" again'),
    });
    await place();
    expect(await requirePromoted(to.promotion("audit"))).toMatchObject({ state: "done" });
    expect(dirname(to.bookStore("audit"))).toBe(to.audit);
  });

  it("keeps the checkpoint where the log goes on with the key that signed it", async () => {
    const keys = await openLogKeys({ folders: to, book: "audit", plant: PLANT.id });
    const [privateKey] = keys.privateKeys();
    const [vkey] = keys.known();
    if (privateKey === undefined || vkey === undefined) throw new Error("a log has a key");
    logs.audit.key = { ...logs.audit.key, privateKey };
    await logs.audit.grow(1);
    await follow("audit");
    logs.audit.vkey = vkey;
    await place();
    const store = await Store.openFolder(to.bookStore("audit"));
    const rows: string[] = [];
    for await (const [, value] of store.range({ gte: Buffer.from("c"), lt: Buffer.from("d") })) {
      rows.push(value.toString("utf8", 8));
    }
    await store.close();
    expect(rows).toEqual([logs.audit.checkpoint()]);
    expect(await openPlaced("audit")).toMatchObject({ damage: null, head: { size: 13 } });
  });
});
