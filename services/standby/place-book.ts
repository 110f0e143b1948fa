import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import type { PromotionMark } from "../../lib/contracts/standby.ts";
import { type Checkpoint, signedBy } from "../../lib/ledger/checkpoint.ts";
import { formatNote, type VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { leavePromotion, readPromotion } from "../../lib/runtime/promotion.ts";
import { headsInPlace, type KnownHead, whyOlder } from "../../lib/storage/backup/known.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { encodeKept } from "../../lib/storage/book/checkpoints.ts";
import { copyRecords } from "../../lib/storage/copy/copy-records.ts";
import { keys } from "../../lib/storage/keys.ts";
import { MIGRATE_A_COPY } from "../../lib/storage/migration/migration.ts";
import { Mirror } from "../../lib/storage/copy/mirror.ts";
import { NoteFile } from "../../lib/storage/book/note-file.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { copyQuarantine } from "../../lib/storage/copy/mirrored-quarantine.ts";
import { everyKey } from "./known-keys.ts";

/** What is being done with a book, and how far it has come, in records. */
export type PlaceStep = "write" | "verify";

export type PlaceOptions = {
  book: BookName;
  origin: string;
  /** The standby's data folder, and the one that the book is put into. */
  from: Folders;
  to: Folders;
  /** The log's keys that the standby has pinned. */
  pinned: readonly VerifierKey[];
  /** Those of the plant that goes on; none where it will make a new one. */
  ownKeys: readonly VerifierKey[];
  /** What others have seen of the book. */
  known: readonly KnownHead[];
  /** Takes what is proven although more is known to have been there. */
  olderOnPurpose: boolean;
  now: () => number;
  onStep: (step: PlaceStep, done: number, of: number) => void;
};

/** A book that lies ready beside its place, written and verified. */
export type ReadyBook = {
  book: BookName;
  proven: Checkpoint;
  /** How many records the book is known to have had. */
  known: number;
  /** Of how many events that were set apart the bytes are not in it. */
  lacking: number;
  /** Moves it into its place. What is there is moved aside, never deleted. */
  putInPlace(mark: Omit<PromotionMark, "state" | "aside">): Promise<PromotionMark>;
};

/**
 * Makes a book's store and head note out of the standby's copy, up to the newest checkpoint that is proven, and verifies
 * what was written from the disk. Nothing of the place is touched yet.
 *
 * @throws RastroError `copy_unproven` where nothing is proven, the copy has diverged, or more is known to have been in
 *   the book; `store_locked` while the standby or the book's service runs; `book_damaged`; `store_unusable`.
 */
export async function makeReady(o: PlaceOptions): Promise<ReadyBook> {
  const source = await Store.openFolder(o.from.mirrorStore(o.book), { migration: MIGRATE_A_COPY });
  try {
    const mirror = Mirror.open({ store: source, name: o.book, now: o.now });
    const logKeys = everyKey(o.pinned, mirror.rotations);
    const proven = requireProven(o, mirror, logKeys);
    const known = await requireNewest(o, mirror, proven);
    const lacking = await writeAside({ ...o, logKeys }, source, proven);
    return { book: o.book, proven, known, lacking, putInPlace: (mark) => swap(o, mark) };
  } finally {
    await source.close();
  }
}

function requireProven(
  { book, olderOnPurpose }: PlaceOptions,
  { proven, divergence }: Mirror,
  logKeys: readonly VerifierKey[],
): Checkpoint {
  if (proven === null) throw unproven(book, "nothing of it has been proven here");
  if (signedBy(proven, logKeys).length === 0) throw unproven(book, "its proven checkpoint is not signed by the log");
  if (divergence === null || olderOnPurpose) return proven;
  throw unproven(book, `it has diverged: ${divergence.why} Only what was proven before can be used`, true);
}

/** @returns how many records the book is known to have had. */
async function requireNewest(o: PlaceOptions, mirror: Mirror, { head }: Checkpoint): Promise<number> {
  const known = [...o.known, ...(await headsThere(o)), ...signedLast(mirror)];
  const roots = new Map(known.map(({ size }) => [size, mirror.rootAt(size) ?? Buffer.alloc(0)]));
  const why = whyOlder(known, head.size, roots, "the standby");
  const cutOff = await readPromotion(o.to.promotion(o.book));
  const sizes = [head.size, cutOff?.known ?? 0, ...known.map(({ size }) => size)];
  if (why !== null && !o.olderOnPurpose) throw unproven(o.book, why, true);
  return Math.max(...sizes);
}

function signedLast({ newest }: Mirror): KnownHead[] {
  return newest === null ? [] : [{ ...newest.head, by: "a checkpoint that the log has signed" }];
}

/** What is in place says how far the book had come, where it can still be read. */
async function headsThere({ book, origin, to }: PlaceOptions): Promise<KnownHead[]> {
  const store = await openPresent(to.bookStore(book));
  try {
    return await headsInPlace({ headNote: to.headNote(book), origin, store });
  } finally {
    await store?.close();
  }
}

/** Opening a folder makes it, so it is looked for first. Null where there is none, or it cannot be opened: a lost book. */
async function openPresent(folder: string): Promise<Store | null> {
  if (!existsSync(folder)) return null;
  try {
    return await Store.openFolder(folder, { migration: "none" });
  } catch (error) {
    if (error instanceof RastroError && error.code === "store_locked") throw error;
    return null;
  }
}

function asideOf({ book, to }: PlaceOptions): { folder: string; store: string; headNote: string } {
  const folder = `${dirname(to.bookStore(book))}.incoming`;
  return { folder, store: join(folder, "store"), headNote: join(folder, basename(to.headNote(book))) };
}

/** With every key that the log is known to have had. */
type WriteOptions = PlaceOptions & { logKeys: readonly VerifierKey[] };

/** @returns of how many events that were set apart the bytes are lacking. */
async function writeAside(o: WriteOptions, source: Store, proven: Checkpoint): Promise<number> {
  const { folder, store: place, headNote } = asideOf(o);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const store = await Store.openFolder(place);
  try {
    const { size, root } = proven.head;
    await copyRecords({ from: source, to: store, size, root, onProgress: (done) => o.onStep("write", done, size) });
    const lacking = await copyQuarantine({ from: source, to: store, size });
    await keepCheckpoint(o, store, proven);
    await writeHeadNote(o, headNote, proven);
    await verifyWritten(o, store, headNote, proven);
    return lacking;
  } finally {
    await store.close();
  }
}

/** Only where the plant goes on with the key that signed it: a log that has another could not tell it from a forgery. */
async function keepCheckpoint(o: PlaceOptions, store: Store, proven: Checkpoint): Promise<void> {
  if (signedBy(proven, o.ownKeys).length === 0) return;
  const value = encodeKept({ note: formatNote(proven.note), madeAt: o.now() });
  await store.write((tx) => tx.put(keys.checkpoint(proven.head.size), value));
}

/** The log's own lines of the proven checkpoint: with those of witnesses it would not fit into one sector. */
async function writeHeadNote({ origin, logKeys }: WriteOptions, path: string, { note }: Checkpoint): Promise<void> {
  const ids = new Set(logKeys.map(({ keyId }) => keyId));
  const signatures = note.signatures.filter(({ name, keyId }) => name === origin && ids.has(keyId));
  const file = new NoteFile(path);
  await file.write(formatNote({ text: note.text, signatures }));
  await file.close();
}

/** Everything is recomputed from what is on disk now. */
async function verifyWritten(o: PlaceOptions, store: Store, headNote: string, { head }: Checkpoint): Promise<void> {
  const book = await Book.open({ store, name: o.book, origin: o.origin, headNote });
  const report = await book.verify({ now: o.now, onProgress: (done, of) => o.onStep("verify", done, of) });
  await book.close();
  if (book.damage === null && report.ok && report.size === head.size && report.root === head.root.toString("hex"))
    return;
  const [first] = report.damaged;
  const why = book.damage ?? (first === undefined ? "it has another root" : `record ${first.seq} is ${first.kind}`);
  throw new RastroError({
    code: "book_damaged",
    message: `Verifying the book ${o.book} that was written failed: ${why}.`,
  });
}

/** A crash between two of these steps leaves the mark, under which no service opens the store: it is done again. */
async function swap(o: PlaceOptions, given: Omit<PromotionMark, "state" | "aside">): Promise<PromotionMark> {
  const { to, book } = o;
  const ready = asideOf(o);
  const before = `${dirname(to.bookStore(book))}.before-${stamp(o.now())}`;
  const isTaken = existsSync(to.bookStore(book)) || existsSync(to.headNote(book));
  const mark: PromotionMark = { ...given, state: "cut-off", aside: isTaken ? before : null };
  await leavePromotion(to.promotion(book), mark);
  if (isTaken) await mkdir(before, { recursive: true, mode: 0o700 });
  for (const path of [to.bookStore(book), to.headNote(book)]) {
    if (existsSync(path)) await rename(path, join(before, basename(path)));
  }
  await rename(ready.store, to.bookStore(book));
  await rename(ready.headNote, to.headNote(book));
  await rm(ready.folder, { recursive: true, force: true });
  const done: PromotionMark = { ...mark, state: "done" };
  await leavePromotion(to.promotion(book), done);
  return done;
}

function stamp(now: number): string {
  return new Date(now).toISOString().replaceAll(/[-:.]/g, "");
}

function unproven(book: BookName, why: string, mayBeMeant = false): RastroError {
  const advice = mayBeMeant ? ' "--older-on-purpose" does it all the same, and puts it on record.' : "";
  return new RastroError({
    code: "copy_unproven",
    message: `Using the standby's copy of the book ${book} failed: ${why}.${advice}`,
    given: book,
  });
}
