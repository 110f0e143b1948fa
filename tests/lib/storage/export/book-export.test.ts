import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventDraft } from "../../../../lib/contracts/events.ts";
import { ExportFilter, type ExportItem, type ExportRequest } from "../../../../lib/contracts/export.ts";
import { RastroError } from "../../../../lib/contracts/errors.ts";
import { findOperation } from "../../../../lib/contracts/operations.ts";
import { ExportCheck } from "../../../../lib/ledger/export-check.ts";
import { OriginSignatures } from "../../../../lib/ledger/origin-signatures.ts";
import { type AppendInput, Book } from "../../../../lib/storage/book/book.ts";
import { createExports, type ExportHandlers } from "../../../../lib/storage/export/book-export.ts";
import { keys } from "../../../../lib/storage/keys.ts";
import type { Store } from "../../../../lib/storage/store/store.ts";
import { writeJsonLines } from "../../../../tools/export/export-book.ts";
import { BACKENDS, type Bed } from "../../../suites/backends.ts";
import { idOf, inputFor, NOW, signer } from "../../../suites/events.ts";

const ANA = `p-${"a".repeat(32)}`;
const ada = { sub: `p-${"d".repeat(32)}`, auth: "session" as const };
const bob = { sub: `p-${"b".repeat(32)}`, auth: "session" as const };
const ALL = ExportFilter.parse({});
const SIZE = 40;

describe.each(BACKENDS)("exports of a book on $name", (backend) => {
  let bed: Bed;
  let store: Store;
  let book: Book;
  let told: EventDraft[];
  let now: number;
  let made = 0;
  let tell: (draft: EventDraft) => Promise<unknown>;
  let exports: ExportHandlers;

  beforeEach(async () => {
    bed = await backend.make();
    store = await bed.open();
    book = await Book.open({ store, name: "production", origin: "test/production" });
    for (let n = 0; n < SIZE; n += 1) await add(n);
    [told, now] = [[], NOW];
    tell = async (draft) => told.push(draft);
    exports = createExports({
      store,
      book,
      checkpoint: async () => null,
      names: { byName: (name) => (name === "ana" ? { sub: ANA, kind: "person" } : undefined) },
      words: async ({ event }) => ({ who: "ana", text: `reason of ${(event as { id: string }).id}` }),
      tell: (draft) => tell(draft),
      onUntold: () => told.push({} as EventDraft),
      newId: () => idOf(1000 + (made += 1)),
      self: { now: () => now, tz: "America/Sao_Paulo" },
    });
  });
  afterEach(async () => {
    await book.close();
    await store.close();
    await bed.remove();
  });

  /** Entries of three machines and two lots; every tenth is a correction by Ana. */
  async function add(n: number, after: object = {}): Promise<void> {
    const fields = { machine: `press-${n % 3}`, lot: n % 2 === 0 ? "L-1" : "L-2", good: n };
    const change: Partial<EventDraft> = {
      at: new Date(NOW + n * 60_000).toISOString(),
      payload: { fields },
      ...(n % 10 === 3 && { type: "entry.corrected", actor: { sub: ANA, auth: "session" } }),
    };
    const input: AppendInput = inputFor(n, signer(`press-${n % 3}`), change);
    const added = { ...input.added, after: { ...fields, ...after } };
    await store.write((tx) => book.append(tx, { ...input, added }, idOf(n)));
  }

  const request = (filter: Partial<ExportFilter>, change: Partial<ExportRequest> = {}): ExportRequest => ({
    filter: { ...ALL, ...filter },
    format: "jsonl",
    names: false,
    ...change,
  });

  async function takeOut(filter: Partial<ExportFilter>, change: Partial<ExportRequest> = {}) {
    const begun = await exports["book-export"](request(filter, change), ada, () => undefined);
    let text = "";
    const items: ExportItem[] = [];
    const fetch = async (from: number) => {
      const page = await exports["book-export-page"]({ id: begun.id, from }, ada);
      expect(findOperation("production", "book-export-page")?.response.parse(page)).toEqual(page);
      items.push(...page.items);
      return page;
    };
    const sink = { write: async (piece: string) => void (text += piece) };
    const written = await writeJsonLines(sink, begun, fetch, () => undefined);
    return { begun, items, text, written, seqs: items.flatMap((item) => ("seq" in item ? [item.seq] : [])) };
  }

  function check(text: string) {
    const check = new ExportCheck({ signatures: new OriginSignatures([]) });
    for (const line of text.trimEnd().split("\n")) check.line(Buffer.from(line));
    return check.finish();
  }

  it("have every record as it is stored, and prove it", async () => {
    const { begun, text, written, items } = await takeOut({});
    expect(findOperation("production", "book-export")?.response.parse(begun)).toEqual(begun);
    expect(begun).toMatchObject({ ...book.head(), count: SIZE, filter: {}, checkpoint: null, onRecord: true });
    expect(written).toEqual({ records: SIZE, omitted: 0, unreadable: 0 });
    expect(check(text).header).toMatchObject({ size: SIZE, root: book.head().root });
    for (const [seq, item] of items.entries()) {
      expect("record" in item && item.record).toBe(Buffer.from(book.record(seq)?.bytes ?? "", "base64").toString());
    }
  });

  const every = (test: (n: number) => boolean) => Array.from({ length: SIZE }, (_, n) => n).filter(test);
  it.each<[string, Partial<ExportFilter>, (n: number) => boolean]>([
    ["a machine", { machine: "press-1" }, (n) => n % 3 === 1],
    ["a lot", { lot: "L-2" }, (n) => n % 2 === 1],
    ["a person, by login", { person: "ana" }, (n) => n % 10 === 3],
    ["a person, by id", { person: ANA }, (n) => n % 10 === 3],
    ["a type", { type: "entry.corrected" }, (n) => n % 10 === 3],
    ["a kind", { kind: "entry" }, () => true],
    ["a kind that there is none of", { kind: "session" }, () => false],
    ["numbers", { fromSeq: 5, toSeq: 11 }, (n) => n >= 5 && n < 11],
    ["numbers beyond the end", { fromSeq: 38, toSeq: 100 }, (n) => n >= 38],
    ["no numbers", { fromSeq: 9, toSeq: 3 }, () => false],
    [
      "a time",
      { from: new Date(NOW + 4 * 60_000).toISOString(), to: new Date(NOW + 7 * 60_000).toISOString() },
      (n) => n >= 4 && n < 7,
    ],
    ["several at once", { machine: "press-0", lot: "L-1", fromSeq: 7 }, (n) => n % 6 === 0 && n >= 7],
  ])("by %s have what fits, prove it and count the rest", async (_what, filter, isWanted) => {
    const { begun, text, written, seqs } = await takeOut(filter);
    expect(seqs).toEqual(every(isWanted));
    expect(begun.count).toBe(seqs.length);
    expect(written).toEqual({ records: seqs.length, omitted: SIZE - seqs.length, unreadable: 0 });
    expect(check(text).trailer.omitted).toBe(SIZE - seqs.length);
  });

  it("are on record once, before the first page, without a name", async () => {
    const { begun } = await takeOut({ person: "ana", toSeq: 30 }, { format: "csv", names: true });
    expect(told).toEqual([
      {
        id: begun.id,
        type: "book.exported",
        at: new Date(NOW).toISOString(),
        tz: "America/Sao_Paulo",
        clock: { source: "unknown", offsetMs: null },
        actor: ada,
        obj: { kind: "book", key: "production" },
        reason: null,
        payload: {
          filter: { person: ANA, toSeq: 30 },
          size: SIZE,
          root: book.head().root,
          count: 3,
          format: "csv",
          names: true,
        },
      },
    ]);
    expect(JSON.stringify(begun)).not.toContain("ana");
  });

  it("are not given when they cannot be put on record, unless the book takes no records at all", async () => {
    tell = async () => {
      throw new RastroError({ code: "store_unusable", message: "the disk is full" });
    };
    await expect(exports["book-export"](request({}), ada, () => undefined)).rejects.toMatchObject({
      code: "store_unusable",
    });
    await expect(exports["book-export-page"]({ id: idOf(1000 + made), from: 0 }, ada)).rejects.toMatchObject({
      code: "unknown_export",
    });
    tell = async () => {
      throw new RastroError({ code: "book_damaged", message: "the head note is ahead" });
    };
    expect((await takeOut({})).begun.onRecord).toBe(false);
  });

  it("have names and reasons for who asked for them only", async () => {
    const named = await takeOut({ toSeq: 1 }, { names: true });
    expect(named.items[0]).toMatchObject({ who: "ana", text: `reason of ${idOf(0)}` });
    const bare = await takeOut({ toSeq: 1 });
    expect(bare.items[0]).toMatchObject({ who: null, text: null });
  });

  it("belong to who began them, for as long as they are used", async () => {
    const { begun } = await takeOut({});
    const page = { id: begun.id, from: 0 };
    await expect(exports["book-export-page"](page, bob)).rejects.toMatchObject({ code: "unknown_export" });
    now += 9 * 60_000;
    await exports["book-export-page"](page, ada);
    now += 11 * 60_000;
    await takeOut({ toSeq: 1 });
    await expect(exports["book-export-page"](page, ada)).rejects.toMatchObject({ code: "unknown_export" });
  });

  it("say that nobody has that name", async () => {
    await expect(takeOut({ person: "rui" })).rejects.toMatchObject({ code: "unknown_name" });
  });

  it("stay a part of the book as it was when they were begun", async () => {
    const begun = await exports["book-export"](request({}), ada, () => undefined);
    await add(SIZE);
    const { items, next } = await exports["book-export-page"]({ id: begun.id, from: 0 }, ada);
    expect([items.length, next]).toEqual([SIZE, SIZE]);
  });

  it("come in pages that a broker lets through", async () => {
    for (let n = SIZE; n < SIZE + 12; n += 1) await add(n, { text: '"\\'.repeat(10_000) });
    const begun = await exports["book-export"](request({}), ada, () => undefined);
    let pages = 0;
    for (let from = 0; from < SIZE + 12; pages += 1) {
      const page = await exports["book-export-page"]({ id: begun.id, from }, ada);
      expect(JSON.stringify(page).length).toBeLessThan(200_000);
      expect(page.next).toBeGreaterThan(from);
      from = page.next;
    }
    expect(pages).toBeGreaterThan(3);
    const { text } = await takeOut({});
    expect(check(text).trailer.records).toBe(SIZE + 12);
  });

  it("tell of damaged records, and prove all others", async () => {
    // As canonical as it was.
    const whole = Buffer.from(book.record(8)?.bytes ?? "", "base64").toString();
    const altered = Buffer.from(whole.replaceAll('"good":8', '"good":9'));
    await store.write((tx) => {
      tx.put(keys.record(8), altered);
      tx.del(keys.record(20));
      tx.put(keys.record(21), Buffer.from("no JSON"));
    });
    const { text, written } = await takeOut({ lot: "L-1" });
    expect(written).toEqual({ records: 18, omitted: 19, unreadable: 3 });
    expect(check(text).trailer).toMatchObject({ records: 18, unreadable: 3 });
    expect(text).toMatch(
      /\{"hashes":\["[0-9a-f]{64}","[0-9a-f]{64}"\],"unreadable":\[20,22\]\}|"unreadable":\[20,22\]/,
    );
  });
});
