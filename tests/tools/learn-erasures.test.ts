import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { openErasures } from "../../broker/directory/erasures.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import { type Folders, foldersOf } from "../../lib/runtime/folders.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { openLevel } from "../../lib/storage/level/database.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { learnErasures } from "../../tools/backup/learn-erasures.ts";
import { idOf, inputFor } from "../suites/events.ts";
import { toFormat1 } from "../support/format-1.ts";

const person = (n: number) => `p-${String(n).repeat(32)}`;
let folders: Folders;

beforeEach(async () => {
  const data = await mkdtemp(join(tmpdir(), "rastro-learn-"));
  onTestFinished(() => rm(data, { recursive: true }));
  folders = foldersOf(data);
});

/** A book of audit with these events, each with its result. */
async function bookOf(events: readonly [Partial<EventDraft>, "booked" | "refused"][]): Promise<void> {
  const store = await Store.openFolder(folders.bookStore("audit"));
  const book = await Book.open({ store, name: "audit", origin: "test/audit" });
  for (const [n, [change, result]] of events.entries()) {
    const input = inputFor(n, null, change);
    await store.write((tx) => book.append(tx, { ...input, added: { ...input.added, result } }, idOf(n)));
  }
  await book.close();
  await store.close();
}

const erased = (n: number, erasure = idOf(100 + n)): Partial<EventDraft> => ({
  type: "person.erased",
  actor: { sub: person(9), auth: "session" },
  obj: { kind: "person", key: person(n) },
  reason: { code: "PERIOD_ENDED", text: null },
  payload: { erasure },
});

it("a book that its service has not brought to the format of now yet is read as it is", async () => {
  await bookOf([[erased(1), "booked"]]);
  const database = await openLevel(folders.bookStore("audit"));
  await toFormat1(database);
  await database.close();
  expect(await learnErasures(folders)).toBe(1);
  const after = await openLevel(folders.bookStore("audit"));
  expect(after.getSync(Buffer.from("m/format"))?.toString()).toBe("1");
  await after.close();
});

it("a list that was lost with the disk is made again from the audit book", async () => {
  await bookOf([
    [erased(1), "booked"],
    [{ type: "entry.created", payload: { note: "person.erased" } }, "booked"],
    [erased(2), "booked"],
    // A machine may not tell of it; one erasure that was applied again is the same one.
    [erased(3), "refused"],
    [{ ...erased(1), payload: { erasure: idOf(101), again: true } }, "booked"],
    [{ ...erased(4), obj: { kind: "person", key: "maria" } }, "booked"],
  ]);
  expect(await learnErasures(folders)).toBe(2);
  const list = await openErasures(folders.erasures);
  expect(list.all()).toMatchObject([
    { id: idOf(101), sub: person(1), ground: "PERIOD_ENDED", by: person(9) },
    { id: idOf(102), sub: person(2) },
  ]);
  expect(list.unfinished()).toHaveLength(2);
  expect(await learnErasures(folders)).toBe(0);
});

it("where there is no book, nothing is learnt and nothing made", async () => {
  expect(await learnErasures(folders)).toBeNull();
});
