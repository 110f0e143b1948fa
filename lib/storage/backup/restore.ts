import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { BackupHeader, RestoredMark, StoreName } from "../../contracts/backup.ts";
import { RastroError, toProblem } from "../../contracts/errors.ts";
import { BookName } from "../../contracts/names.ts";
import { Book, type LogHead } from "../book/book.ts";
import { STORE_FORMAT } from "../keys.ts";
import { isKnownFormat } from "../migration/migrate.ts";
import { NoteFile } from "../book/note-file.ts";
import { Store } from "../store/store.ts";
import { syncFolder } from "../sync-folder.ts";
import { requireWholeBackup } from "./check.ts";
import { fillStore } from "./fill.ts";
import { headsInPlace, type KnownHead, whyOlder } from "./known.ts";
import { makeBackup } from "./make.ts";
import { renewOutboxes } from "./outbox-renewal.ts";

/** Where a store is, and what belongs to it. */
export type RestorePlace = {
  name: StoreName;
  plant: string;
  /** The folder of the store. */
  folder: string;
  /** Of a book: its origin, its head note, and what writes the text of one. */
  book: { origin: string; headNote: string; writeNote: (head: LogHead) => string } | null;
  /** Where its backups are. */
  backups: string;
  /** A folder that is not there yet: what is in place is moved into it, and never deleted. */
  aside: string;
};

/** What a restore is doing: `check` the backup, `save` what is there, `write` the store, `verify` what was written. */
export type RestoreStep = "check" | "save" | "write" | "verify";

export type RestoreOptions = {
  place: RestorePlace;
  /** Path of the backup. */
  file: string;
  /** Heads that are known from elsewhere: of witnesses, of a restore that was cut off. */
  known: readonly KnownHead[];
  /** What an older backup than is known is restored for; null refuses it. */
  olderFor: string | null;
  /** Whoever restores, as the system knows them. */
  by: string;
  reason: string | null;
  /** Id of the event that will tell of it. */
  event: string;
  app: string;
  now: () => number;
  random: (length: number) => Buffer;
  /** Leaves word for the service's next start; on disk when it resolves. */
  leaveMark: (mark: RestoredMark) => Promise<void>;
  /** Given the store that is there, where it can be read: what of it the restored one must not lack. */
  carryOver?: (present: Store) => Promise<(restored: Store) => Promise<void>>;
  onStep?: (step: RestoreStep, done: number, of: number) => void;
};

export type Restored = {
  mark: RestoredMark;
  header: BackupHeader;
  rows: number;
  /** Name of the backup of what was there; null where there was nothing, or it could not be read. */
  saved: string | null;
  /** Why what was there could not be saved as a backup, a sentence. It is kept aside all the same. */
  notSaved: string | null;
};

/**
 * Puts a backup in the place of a store that no process has open. What is there is saved as a backup where it can be
 * read, and moved aside, never deleted. The new store is written and verified under another name before anything is
 * moved; between the first move and the last a mark keeps every service from opening half of it.
 *
 * @throws RastroError `backup_damaged`, `backup_format`; `older_backup` for one that lacks what is known of the book,
 *   unless it is restored for a reason; `store_locked` while a process has the store open; `store_unusable`;
 *   `book_damaged` when what was written does not verify. What is there stays in place then.
 */
export async function restoreBackup(o: RestoreOptions): Promise<Restored> {
  const { place } = o;
  const present = await openPresent(place.folder);
  try {
    const heads = place.book === null ? [] : await headsInPlace({ ...place.book, store: present.store });
    const { header, older } = await judge(o, heads);
    const { saved, notSaved } = await savePresent(o, present);
    const carry = present.store === null ? null : ((await o.carryOver?.(present.store)) ?? null);
    await present.store?.close();
    const rows = await writeAside(o, header, carry);
    const mark = markOf(o, header, heads, older !== null);
    await swap(o, header, mark);
    return { mark, header, rows, saved, notSaved };
  } finally {
    await present.store?.close().catch(() => undefined);
  }
}

type Carry = ((restored: Store) => Promise<void>) | null;

type Present = { store: Store | null; why: string | null };

/** Opening a folder makes it, so it is looked for first. */
async function openPresent(folder: string): Promise<Present> {
  if (!existsSync(folder)) return { store: null, why: null };
  try {
    return { store: await Store.openFolder(folder, { migration: "none" }), why: null };
  } catch (error) {
    if (!(error instanceof RastroError) || error.code === "store_locked") throw error;
    return { store: null, why: error.message };
  }
}

/** @returns why the backup is older than what is known; null when it is not. */
async function judge(o: RestoreOptions, heads: readonly KnownHead[]) {
  const known = [...heads, ...o.known];
  const { report, roots } = await requireWholeBackup(o.file, {
    rootsAt: known.map(({ size }) => size),
    onProgress: (done, of) => o.onStep?.("check", done, of),
  });
  const header = report.header as BackupHeader;
  requireFit(o.place, header);
  const older = o.place.book === null ? null : whyOlder(known, header.size ?? 0, roots);
  if (older !== null && o.olderFor === null) throw tooOld(o, older);
  return { header, older };
}

function requireFit({ name, plant, book }: RestorePlace, header: BackupHeader): void {
  const misfits: [string, string | null, string | null][] = [
    ["store", header.store, name],
    ["plant", header.plant, plant],
    ["origin", header.origin, book?.origin ?? null],
    [
      "store's format",
      header.storeFormat,
      isKnownFormat(header.storeFormat) ? header.storeFormat : String(STORE_FORMAT),
    ],
  ];
  for (const [what, given, expected] of misfits) {
    if (given === expected) continue;
    const message = `Restoring ${name} failed: the backup's ${what} is ${given}, expected ${expected}.`;
    throw new RastroError({ code: "backup_format", message, given: String(given), expected: String(expected) });
  }
}

async function savePresent(o: RestoreOptions, { store, why }: Present) {
  if (store === null) return { saved: null, notSaved: why };
  const { name, plant, book, backups: folder } = o.place;
  const { app, now } = o;
  const origin = book?.origin ?? null;
  const onProgress = (done: number, of: number) => o.onStep?.("save", done, of);
  try {
    const made = await makeBackup({
      store,
      name,
      plant,
      origin,
      folder,
      app,
      now,
      onProgress,
      why: "before-restore",
      asItIs: true,
    });
    return { saved: made.name, notSaved: null };
  } catch (error) {
    return { saved: null, notSaved: toProblem(error).message };
  }
}

/** @returns how many rows were written. */
async function writeAside(o: RestoreOptions, header: BackupHeader, carry: Carry): Promise<number> {
  const draft = draftOf(o.place);
  await rm(draft, { recursive: true, force: true });
  await mkdir(dirname(draft), { recursive: true, mode: 0o700 });
  try {
    return await writeStore(o, draft, header, carry);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

async function writeStore(o: RestoreOptions, folder: string, header: BackupHeader, carry: Carry): Promise<number> {
  const rows = await fillFolder(o, folder);
  // The number of its format came with the rows.
  const migration = { backUp: async () => basename(o.file), at: new Date(o.now()).toISOString() };
  const store = await Store.openFolder(folder, { migration });
  try {
    await renewOutboxes(store, o.random);
    await carry?.(store);
    if (o.place.book !== null) await requireWholeBook(o, store, header);
    return rows;
  } finally {
    await store.close();
  }
}

async function fillFolder(o: RestoreOptions, folder: string): Promise<number> {
  const store = await Store.openFolder(folder);
  try {
    return await fillStore(o.file, store, (bytes) => o.onStep?.("write", bytes, bytes));
  } finally {
    await store.close();
  }
}

/** Everything is recomputed from what is on disk now, not from what was read. */
async function requireWholeBook(o: RestoreOptions, store: Store, header: BackupHeader): Promise<void> {
  const name = BookName.parse(o.place.name);
  const book = await Book.open({ store, name, origin: header.origin ?? "" });
  const report = await book.verify({ onProgress: (done, of) => o.onStep?.("verify", done, of) });
  if (report.ok && report.size === header.size && report.root === header.root) return;
  const [first] = report.damaged;
  const what = first === undefined ? `it has another root` : `record ${first.seq} is ${first.kind}`;
  const message = `Restoring ${name} failed: the store that was written does not verify (${what}). Take another backup.`;
  throw new RastroError({ code: "book_damaged", message });
}

function markOf(o: RestoreOptions, header: BackupHeader, heads: readonly KnownHead[], older: boolean): RestoredMark {
  const [highest] = [...heads, ...o.known].toSorted((a, b) => b.size - a.size);
  return {
    v: 1,
    state: "done",
    event: o.event,
    store: o.place.name,
    at: new Date(o.now()).toISOString(),
    backup: basename(o.file),
    madeAt: header.madeAt,
    from: highest === undefined ? null : { size: highest.size, root: highest.root?.toString("hex") ?? null },
    to: header.size === null ? null : { size: header.size, root: header.root ?? "" },
    older,
    by: o.by,
    reason: o.reason,
    aside: existsSync(o.place.folder) || existsSync(o.place.book?.headNote ?? "") ? o.place.aside : null,
  };
}

/** Moves what is there aside and the new store into its place. */
async function swap(o: RestoreOptions, header: BackupHeader, mark: RestoredMark): Promise<void> {
  const { folder, book, aside } = o.place;
  await o.leaveMark({ ...mark, state: "cut-off" });
  await mkdir(aside, { recursive: true, mode: 0o700 });
  await moveInto(aside, folder);
  if (book !== null) await moveInto(aside, book.headNote);
  await rename(draftOf(o.place), folder);
  if (book !== null) await writeHeadNote(book, header);
  await syncFolder(dirname(folder));
  await syncFolder(aside);
  await o.leaveMark(mark);
}

async function moveInto(aside: string, path: string): Promise<void> {
  if (existsSync(path)) await rename(path, join(aside, basename(path)));
}

async function writeHeadNote(
  { origin, headNote, writeNote }: NonNullable<RestorePlace["book"]>,
  { size, root }: BackupHeader,
): Promise<void> {
  const note = new NoteFile(headNote);
  await note.write(writeNote({ origin, size: size ?? 0, root: Buffer.from(root ?? "", "hex") }));
  await note.close();
}

function draftOf({ folder }: RestorePlace): string {
  return `${folder}.restoring`;
}

function tooOld({ place, file }: RestoreOptions, why: string): RastroError {
  const message =
    `Restoring ${place.name} from ${basename(file)} failed: the backup is older than the book, or of another history: ${why}. ` +
    `Take a newer backup; if there is none, say so with --older-on-purpose and --reason, and the book will record it.`;
  return new RastroError({ code: "older_backup", message, given: basename(file) });
}
