import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename } from "node:path";
import { v7 } from "uuid";
import manifest from "../../package.json" with { type: "json" };
import { BackupName, StoreName } from "../../lib/contracts/backup.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { BookName, plainText } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { signCheckpoint } from "../../lib/ledger/checkpoint.ts";
import { type HeadNote, parseHeadNote } from "../../lib/ledger/head-note.ts";
import { openLogKeys } from "../../lib/runtime/log-keys.ts";
import { leaveMark, readMark } from "../../lib/runtime/restored.ts";
import { listBackups, requireBackup } from "../../lib/storage/backup/folder.ts";
import type { KnownHead } from "../../lib/storage/backup/known.ts";
import { type Restored, restoreBackup, type RestorePlace } from "../../lib/storage/backup/restore.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { learnErasures } from "../backup/learn-erasures.ts";
import { knownHere, logKeysHere } from "../backup/known-here.ts";
import { type LocalPlace, localPlace } from "../backup/places.ts";
import { carryCheckpoints } from "../backup/retained-checkpoints.ts";
import { whileStopped } from "../backup/stopped.ts";
import type { Outcome } from "../client/outcome.ts";
import { list, localTime } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import type { Terminal } from "../client/terminal.ts";
import { usageError } from "../client/usage.ts";

export type RestoreCommandOptions = { witnessed?: string; olderOnPurpose?: true; reason?: string };

/** The shortest reason for which an older book is put in place: a word is none. */
const REASON_MINIMUM = 10;
const Reason = plainText(500);

/** @throws RastroError as {@link restoreBackup}; `store_locked` while Rastro runs; `unknown_backup`; `schema`. */
export async function runRestore(
  terminal: Terminal,
  given: { store: string; which: string | undefined; options: RestoreCommandOptions },
): Promise<Outcome> {
  const store = parseValue(StoreName, given.store, "the store");
  const { reason, olderFor } = reasonOf(given.options);
  const place = await localPlace(terminal.env, store);
  const witnessed = await witnessedHead(place, given.options.witnessed);
  const { restored, erasures } = await whileStopped(place, async () => {
    const file = await backupOf(place, given.which);
    const known = [...witnessed, ...(await knownElsewhere(place)), ...(await cutOffHead(place))];
    const done = await restore(terminal, place, { file, known, reason, olderFor });
    return { restored: done, erasures: await learnErasures(place.folders) };
  });
  return { data: restored, text: textOf(place, restored, erasures) };
}

async function restore(
  terminal: Terminal,
  place: LocalPlace,
  o: { file: string; known: KnownHead[]; reason: string | null; olderFor: string | null },
): Promise<Restored> {
  const bar = await startProgress(terminal.stderr, `restoring ${place.name}`, 0);
  const now = Date.now;
  try {
    return await restoreBackup({
      ...o,
      place: await restorePlace(place, now()),
      by: userInfo().username.slice(0, 64),
      event: v7(),
      app: `rastro-cli@${manifest.version}`,
      now,
      random: randomBytes,
      leaveMark: (mark) => leaveMark(place.folders.restoredMark(place.name), mark),
      ...(place.name === "sessions" && { carryOver: (present) => carryFrom(present, place) }),
      onStep: (step, done, of) => bar.update(done, step, of),
    });
  } finally {
    bar.stop();
  }
}

function carryFrom(present: Pick<Store, "get">, { folders }: LocalPlace) {
  return carryCheckpoints({ present, logKeys: (book) => logKeysHere(folders, book) });
}

async function restorePlace(place: LocalPlace, at: number): Promise<RestorePlace> {
  const { name, plant, folder, backups, folders } = place;
  return { name, plant, folder, book: await bookOf(place), backups, aside: folders.aside(name, at) };
}

/** The head note is signed as its service signs it, by the keys of the log. */
async function bookOf({ name, plant, folders, book }: LocalPlace): Promise<RestorePlace["book"]> {
  if (book === null) return null;
  const keys = await openLogKeys({ folders, book: BookName.parse(name), plant });
  return { ...book, writeNote: (head) => signCheckpoint(head, keys.privateKeys()) };
}

function reasonOf({ reason: given, olderOnPurpose }: RestoreCommandOptions) {
  const reason = given === undefined ? null : parseValue(Reason, given, "--reason");
  if (olderOnPurpose !== true) return { reason, olderFor: null };
  if (reason === null || reason.length < REASON_MINIMUM)
    throw usageError(
      "--reason",
      JSON.stringify(given ?? ""),
      `why the book is to be older, in ${REASON_MINIMUM} characters or more`,
    );
  return { reason, olderFor: reason };
}

/** By its path where there is such a file, else by its name among the backups of the store; the newest when left out. */
async function backupOf({ name, backups }: LocalPlace, which: string | undefined): Promise<string> {
  if (which !== undefined && !BackupName.safeParse(which).success) {
    if (existsSync(which)) return which;
    throw usageError(
      "the backup",
      JSON.stringify(which),
      `the name of one of ${backups}, or the path of a file that is there`,
    );
  }
  return requireBackup(backups, which ?? (await newestIn(backups, name)));
}

/** What an earlier restore saved of the store that it replaced is only restored when it is named. */
async function newestIn(backups: string, store: StoreName): Promise<string> {
  const newest = (await listBackups(backups, store)).find(
    ({ header }) => header !== null && header.why !== "before-restore",
  );
  if (newest !== undefined) return newest.name;
  const message = `Restoring ${store} failed: there is no backup in ${backups}; name the path of one.`;
  throw new RastroError({ code: "unknown_backup", message, given: backups });
}

async function witnessedHead({ book }: LocalPlace, file: string | undefined): Promise<KnownHead[]> {
  if (file === undefined) return [];
  const note = await readNote(file);
  if (note.origin !== book?.origin)
    throw usageError("--witnessed", `a checkpoint of ${note.origin}`, `one of ${book?.origin ?? "a book"}`);
  return [{ size: note.size, root: note.root, by: `the checkpoint in ${basename(file)}` }];
}

async function knownElsewhere({ book, name, folders, plant }: LocalPlace): Promise<KnownHead[]> {
  return book === null ? [] : knownHere(folders, plant, BookName.parse(name));
}

async function readNote(file: string): Promise<HeadNote> {
  try {
    return parseHeadNote(await readFile(file, "utf8"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `Reading the checkpoint in ${file} failed: ${why}`;
    throw new RastroError({ code: "schema", message, field: "--witnessed", given: file }, { cause });
  }
}

/** What a restore that was cut off had found in place: it has moved it aside. */
async function cutOffHead({ folders, name }: LocalPlace): Promise<KnownHead[]> {
  const mark = await readMark(folders.restoredMark(name));
  if (mark?.state !== "cut-off" || mark.from === null) return [];
  const { size, root } = mark.from;
  return [{ size, root: root === null ? null : Buffer.from(root, "hex"), by: "a restore that was cut off" }];
}

/** @param erasures - how many of the audit book the list had not. */
function textOf(place: LocalPlace, { mark, header, rows, saved, notSaved }: Restored, erasures: number | null): string {
  const facts = list([
    ["store", mark.store],
    ["backup", `${mark.backup}, made ${localTime(header.madeAt)}`],
    ["rows", rows],
    ...(mark.to === null ? [] : ([["records", mark.to.size]] as [string, number][])),
    ...(mark.from === null ? [] : ([["before", `${mark.from.size} records`]] as [string, string][])),
    ["what was there", mark.aside],
    ["saved as", saved ?? notSaved],
    ...(erasures ? ([["erasures", `${erasures} that only the audit book knew`]] as [string, string][]) : []),
  ]);
  return [facts, "", ...nextSteps(place, mark)].join("\n");
}

function nextSteps({ name }: LocalPlace, mark: Restored["mark"]): string[] {
  const check = { production: "rastro audit verify --book production", audit: "rastro audit verify" };
  const next = ["Next:", "  start Rastro again (npm start); the restore goes on record"];
  if (name === "production" || name === "audit") {
    next.push("  machines and services send again what they keep of the time since the backup", `  ${check[name]}`);
    if (mark.older)
      next.push(
        `  rastro audit accept-loss --book ${name}, only where somebody turns up who has seen more than ${mark.from?.size} records`,
      );
    if (mark.older && name === "production")
      next.push("  entries that people made at the hub since have to be made again: rastro audit tail shows them");
  }
  if (name === "directory")
    next.push("  everybody signs in anew; locks, passwords and machines since the backup have to be set again");
  return next;
}
