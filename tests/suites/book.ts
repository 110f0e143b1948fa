import { readFile, rm, writeFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leafHash, sha256 } from "../../lib/ledger/hash.ts";
import { formatHeadNote, parseHeadNote } from "../../lib/ledger/head-note.ts";
import { verifyInclusion } from "../../lib/ledger/proof.ts";
import { NO_PREVIOUS, openRecord } from "../../lib/ledger/record.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { Store, type Tx } from "../../lib/storage/store/store.ts";
import type { Backend, Bed } from "./backends.ts";
import { idOf, inputFor, type Signer, signer } from "./events.ts";
import { type Fault, FaultyDatabase } from "./faulty-database.ts";

/** What every book promises, whatever store it lies on. */
export function bookSuite(backend: Backend): void {
  describe(`a book on ${backend.name}`, () => {
    const machine: Signer = signer("ipc-07");
    const keyOf = (name: string) => (name === machine.name ? machine.raw : null);
    let bed: Bed;
    let database: FaultyDatabase;
    let store: Store;
    let book: Book;
    let notePath: string;

    const open = () => Book.open({ store, name: "audit", origin: "plant-1/audit", headNote: notePath });
    const start = async () => {
      database = new FaultyDatabase(await bed.database());
      store = await Store.onDatabase(database, "the test's store");
      book = await open();
    };
    const stop = async () => {
      await book.close();
      await store.close();
    };
    const add = (n: number) => store.write((tx) => book.append(tx, inputFor(n, machine), idOf(n)));
    const addMany = (first: number, count: number) =>
      Promise.all(Array.from({ length: count }, (_, index) => add(first + index)));
    const readNote = async () => parseHeadNote(await readFile(notePath, "utf8"));

    beforeEach(async () => {
      bed = await backend.make();
      notePath = bed.path("head.note");
      await start();
    });

    afterEach(async () => {
      await stop();
      await bed.remove();
    });

    it("is empty at first", async () => {
      const root = sha256(Buffer.alloc(0)).toString("hex");
      expect(book.head()).toEqual({ book: "audit", origin: "plant-1/audit", size: 0, root });
      expect(book.damage).toBeNull();
      expect(book.record(0)).toBeUndefined();
      expect(await book.verify()).toMatchObject({ ok: true, size: 0, root, damaged: [] });
    });

    it("numbers, chains and finds its records", async () => {
      const booked = await addMany(0, 5);
      expect(booked.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4]);
      for (const { seq, leaf } of booked) {
        const record = book.open(seq);
        expect(record).toMatchObject({ v: 1, seq, ...inputFor(seq, null), sig: { by: "ipc-07", key: machine.key } });
        expect(record?.prev).toBe(booked[seq - 1]?.leaf ?? NO_PREVIOUS);
        expect(book.find(idOf(seq))).toBe(seq);
        expect(book.leafAt(seq)).toBe(leaf);
      }
      expect(book.find(idOf(5))).toBeUndefined();
      expect(book.find("no id")).toBeUndefined();
      expect(book.open(5)).toBeUndefined();
      expect(book.leafAt(-1)).toBeUndefined();
    });

    it("gives out the bytes that were hashed", async () => {
      const { leaf } = await add(0);
      const record = book.record(0);
      const bytes = Buffer.from(record?.bytes ?? "", "base64");
      expect(leafHash(bytes).toString("hex")).toBe(leaf);
      expect(openRecord(bytes)).toEqual(book.open(0));
    });

    it("proves every record of every size", async () => {
      for (let size = 1; size <= 20; size += 1) {
        await add(size - 1);
        for (let seq = 0; seq < size; seq += 1) {
          const proof = book.prove(seq);
          expect(proof.head).toEqual(book.head());
          const given = {
            seq,
            size,
            leaf: hex(proof.record.leaf),
            path: proof.path.map(hex),
            root: hex(proof.head.root),
          };
          expect(verifyInclusion(given)).toBe(true);
        }
        expect(() => book.prove(size)).toThrow(expect.objectContaining({ code: "unknown_record" }));
      }
    });

    it("shows a stage the records of its group", async () => {
      await store.write((tx) => {
        const first = book.append(tx, inputFor(0, machine), idOf(0));
        expect(book.find(idOf(0), tx)).toBe(0);
        expect(book.leafAt(0, tx)).toBe(first.leaf);
        expect(book.open(0, tx)).toMatchObject({ seq: 0 });
        expect(book.find(idOf(0))).toBeUndefined();
      });
      expect(book.find(idOf(0))).toBe(0);
    });

    it("leaves nothing of a stage that is dropped", async () => {
      const failing = store.write((tx) => {
        book.append(tx, inputFor(7, machine), idOf(7));
        throw new Error("refused after all");
      });
      await Promise.all([add(0), expect(failing).rejects.toThrow("refused after all"), add(1)]);
      expect(book.head().size).toBe(2);
      expect(book.find(idOf(7))).toBeUndefined();
      expect(await book.verify({ keyOf })).toMatchObject({ ok: true, size: 2 });
    });

    it("writes nothing of a record that is too large, so that the stage can go on", async () => {
      const large = inputFor(0, null, { payload: { text: "x".repeat(70_000) } });
      const { seq } = await store.write((tx) => {
        expect(() => book.append(tx, large, idOf(0))).toThrow(expect.objectContaining({ code: "too-large" }));
        return book.append(tx, inputFor(1, machine), idOf(1));
      });
      expect(seq).toBe(0);
      expect(await book.verify({ keyOf })).toMatchObject({ ok: true, size: 1 });
    });

    it.each(["not-written", "written"] as const)("goes on after a batch that was %s and failed", async (fault) => {
      await addMany(0, 3);
      database.faults.push(fault);
      const failed = await Promise.allSettled([add(3), add(4)]);
      expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
      expect(await book.verify({ keyOf })).toMatchObject({ ok: true, size: fault === "written" ? 5 : 3 });
      // Who was rejected looks first and writes again.
      const again = await Promise.all(
        [3, 4, 5].map((n) =>
          store.write((tx) => book.find(idOf(n), tx) ?? book.append(tx, inputFor(n, machine), idOf(n)).seq),
        ),
      );
      expect(again).toEqual([3, 4, 5]);
      expect(await book.verify({ keyOf })).toMatchObject({ ok: true, size: 6 });
      expect(await readNote()).toMatchObject({ size: 6 });
    });

    it("stays whole whatever stages fail, batches break and restarts come", async () => {
      const step = fc.record({
        adds: fc.nat({ max: 7 }),
        drops: fc.nat({ max: 2 }),
        fault: fc.constantFrom<Fault | null>(null, null, "not-written", "written"),
        restart: fc.boolean(),
      });
      let next = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 6 }), async (steps) => {
          for (const { adds, drops, fault, restart } of steps) {
            database.faults.splice(0, Infinity, ...(adds > 0 ? [fault] : []));
            const dropped = Array.from({ length: drops }, () => store.write((tx) => dropOne(tx, book)));
            const kept = Array.from({ length: adds }, () => add((next += 1)));
            await Promise.allSettled([...dropped, ...kept]);
            if (restart) {
              await stop();
              await start();
            }
            expect(book.damage).toBeNull();
            const { size } = book.head();
            expect(await book.verify({ keyOf })).toMatchObject({
              ok: true,
              size,
              signatures: { checked: size, unsigned: 0, unknownKey: 0 },
            });
          }
        }),
        { numRuns: 12 },
      );
    });

    it("goes on where it was when it is opened again", async () => {
      await addMany(0, 6);
      const head = book.head();
      await stop();
      await start();
      expect(book.head()).toEqual(head);
      expect(book.damage).toBeNull();
      expect(await add(6)).toMatchObject({ seq: 6 });
      expect(await book.verify({ keyOf })).toMatchObject({ ok: true, size: 7 });
    });

    it("counts the signatures that it checked, and those that it could not", async () => {
      const stranger = signer("ipc-08");
      const oldKey = { ...signer("ipc-07"), name: "ipc-07" };
      const without = inputFor(1, null);
      const unsigned = { ...without, added: { ...without.added, flags: ["unsigned"] } };
      const inputs = [inputFor(0, machine), unsigned, inputFor(2, stranger), inputFor(3, oldKey)];
      await Promise.all(inputs.map((input, n) => store.write((tx) => book.append(tx, input, idOf(n)))));
      expect(await book.verify({ keyOf })).toMatchObject({
        ok: true,
        signatures: { checked: 1, unsigned: 1, unknownKey: 2 },
      });
      expect(await book.verify()).toMatchObject({ ok: true, signatures: { checked: 0, unsigned: 1, unknownKey: 3 } });
    });

    it("names a record without the signature that its sender could have given", async () => {
      await add(0);
      await store.write((tx) => book.append(tx, inputFor(1, null), idOf(1)));
      const report = await book.verify({ keyOf });
      expect(report).toMatchObject({ ok: false, damagedCount: 1, damaged: [{ seq: 1, kind: "unsigned" }] });
    });

    it("names a signature that does not fit", async () => {
      const input = inputFor(1, machine);
      const forged = { ...input, sig: inputFor(2, machine).sig };
      await add(0);
      await store.write((tx) => book.append(tx, forged, idOf(1)));
      const report = await book.verify({ keyOf });
      expect(report).toMatchObject({ ok: false, damagedCount: 1, damaged: [{ seq: 1, kind: "bad-signature" }] });
    });

    it("lets other work in while it verifies, and does not mind appends meanwhile", async () => {
      await addMany(0, 1500);
      let turns = 0;
      const state = { done: false };
      const progress: number[] = [];
      const verified = book.verify({ keyOf, onProgress: (at) => progress.push(at) }).finally(() => (state.done = true));
      for (let n = 1500; !state.done; n += 1) {
        await add(n);
        await nextTurn();
        turns += 1;
      }
      const report = await verified;
      expect(report).toMatchObject({ ok: true, damaged: [] });
      expect(report.size).toBeGreaterThanOrEqual(1500);
      expect(turns).toBeGreaterThan(3);
      expect(progress).toEqual(progress.toSorted((left, right) => left - right));
      expect(progress.at(-1)).toBe(report.size);
    });

    describe("with its head note", () => {
      it("has written it before a write resolves, at a constant length", async () => {
        expect(await readNote()).toMatchObject({ size: 0 });
        for (let n = 0; n < 5; n += 1) {
          await add(n);
          const { size, root } = book.head();
          expect(await readNote()).toMatchObject({ origin: "plant-1/audit", size, root: hex(root) });
          expect(await readFile(notePath)).toHaveLength(512);
        }
      });

      it("brings a note up to date that was left behind by a crash", async () => {
        await addMany(0, 3);
        const behind = await readFile(notePath);
        await addMany(3, 4);
        const upToDate = await readFile(notePath);
        await reopenWith(behind);
        expect(book.damage).toBeNull();
        expect(await readFile(notePath)).toEqual(upToDate);
      });

      it.each([
        ["ahead of the store", { size: 9 }, "truncated"],
        ["of another root at the same size", { root: Buffer.alloc(32, 1) }, "forked"],
        ["of another root at a smaller size", { size: 5, root: Buffer.alloc(32, 1) }, "forked"],
        ["of another book", { origin: "plant-1/production" }, "altered"],
      ])("takes no records with a note %s", async (_name, change, kind) => {
        await addMany(0, 7);
        const note = { ...(await readNote()), ...change };
        await reopenWith(Buffer.from(formatHeadNote(note).padEnd(512, "\n")));
        expect(book.damage).toMatch(new RegExp(`^${kind}: `));
        await expectReadOnly(kind);
      });

      it.each([
        ["that does not read", Buffer.alloc(512), "altered"],
        ["that is missing", null, "missing"],
      ])("takes no records with a note %s", async (_name, bytes, kind) => {
        await addMany(0, 7);
        await reopenWith(bytes);
        expect(book.damage).toMatch(new RegExp(`^${kind}: `));
        await expectReadOnly(kind);
      });

      async function reopenWith(bytes: Buffer | null): Promise<void> {
        await stop();
        if (bytes === null) await rm(notePath);
        else await writeFile(notePath, bytes);
        await start();
      }

      async function expectReadOnly(kind: string): Promise<void> {
        await expect(add(7)).rejects.toMatchObject({ code: "book_damaged" });
        expect(book.open(6)).toMatchObject({ seq: 6 });
        expect(book.head().size).toBe(7);
        expect(await book.verify({ keyOf })).toMatchObject({ ok: false, damagedCount: 1, damaged: [{ kind }] });
      }
    });
  });
}

function dropOne(tx: Tx, book: Book): void {
  book.append(tx, inputFor(1_000_000, null), idOf(1_000_000));
  throw new Error("dropped");
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}
