import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Book } from "../../../../lib/storage/book/book.ts";
import { copyRecords } from "../../../../lib/storage/copy/copy-records.ts";
import { keys } from "../../../../lib/storage/keys.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { rowsOf } from "../../../support/book-rows.ts";
import { logToFollow } from "../../../support/log-to-follow.ts";
import { eventOf, principalOf, signer } from "../../../suites/events.ts";
import { openIntake } from "../../../suites/intake-parts.ts";

const machine = signer("ipc-07");
const other = signer("ipc-08");
const service = signer("production");
const EPOCH = "0102030405060708";

const headOf = (book: Book) => {
  const { size, root } = book.head();
  return { size, root: Buffer.from(root, "hex") };
};

describe("copying a book's records", () => {
  it("brings the intake's own rows along: where each outbox is, and what of it is missing", async () => {
    const batch = fc.record({
      from: fc.constantFrom(machine, other),
      dseqs: fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 }),
      // The sender has lost what lies before its first event, or will send it later.
      lost: fc.boolean(),
    });
    const copying = fc.asyncProperty(fc.array(batch, { maxLength: 12 }), async (batches) => {
      const principals = [machine, other, service].map((one) => principalOf(one));
      const parts = await openIntake(await Store.inMemory(), { service, principals });
      for (const { from, dseqs, lost } of batches) {
        const sorted = dseqs.toSorted((a, b) => a - b);
        const events = sorted.map((dseq) => eventOf(from, EPOCH, dseq, { id: idFor(from.name, dseq) }));
        await parts.intake.receive(from.name, { v: 1, epoch: EPOCH, floor: lost ? (sorted[0] ?? 1) : 1, events });
      }
      const to = await Store.inMemory();
      await copyRecords({ from: parts.store, to, ...headOf(parts.book) });
      expect(await rowsOf(to, "dgmnpr")).toEqual(await rowsOf(parts.store, "dgmnpr"));
    });
    await fc.assert(copying, { numRuns: 60 });
  }, 30_000);

  it("stops at the first record that does not fit, and at a root that is another", async () => {
    const log = await logToFollow();
    await log.grow(10);
    const head = headOf(log.book);
    const copy = async (change: { root?: Buffer; size?: number } = {}) =>
      copyRecords({ from: log.store, to: await Store.inMemory(), ...head, ...change });
    await copy();
    await expect(copy({ root: Buffer.alloc(32) })).rejects.toThrow("its 10 records give another root");
    await expect(copy({ size: 11 })).rejects.toThrow("record 10 is missing");
    await expect(copyRecords({ from: log.store, to: log.store, ...head })).rejects.toThrow("not empty");

    const bytes = log.store.getNow(keys.record(4)) ?? Buffer.alloc(0);
    await log.store.write((tx) => tx.put(keys.record(4), Buffer.concat([bytes, Buffer.from(" ")])));
    await expect(copy()).rejects.toThrow("record 4 is not the canonical form of a record");
    await log.store.write((tx) => tx.del(keys.record(4)));
    await expect(copy()).rejects.toMatchObject({
      code: "book_damaged",
      message: expect.stringContaining("record 4 is"),
    });
  });
});

/** Ids of their own for each outbox. */
function idFor(name: string, dseq: number): string {
  return `0193f3a0-0000-7000-8${name === "ipc-07" ? "0" : "1"}00-${dseq.toString(16).padStart(12, "0")}`;
}
