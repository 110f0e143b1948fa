import { RastroError } from "../../contracts/errors.ts";
import type { Database, Operation } from "../level/database.ts";
import { FORMAT_KEY, STORE_FORMAT } from "../keys.ts";
import { StoreSnapshot } from "../level/snapshot.ts";
import { bookNow, encodeMark, MARK_KEY, type Mark, readMark } from "./mark.ts";
import type { Job, Migration, OlderStore, Step } from "./migration.ts";
import { toFormat2 } from "./to-format-2.ts";
import { encodeWord, WORD_KEY } from "./word.ts";

/** The way on from each format that is older than the one of now. */
const STEPS: Readonly<Record<number, Step>> = { 1: toFormat2 };

/**
 * Brings a store that was just opened to the format of now, and gives a new one its number. A store of an older format
 * of which more than the number changes is backed up first, and then rewritten in batches of which each is synced: killed
 * at any moment, it goes on at the next opening. Its number is written last.
 *
 * @param o.migration - left out, such a store is refused.
 * @throws RastroError `store_newer`; `store_unusable` where it is not migrated, with what to do.
 */
export async function bringUpToDate(
  database: Database,
  place: string,
  { migration }: { migration?: OlderStore | undefined } = {},
): Promise<void> {
  const stored = database.getSync(FORMAT_KEY)?.toString();
  if (stored === undefined) return writeNumber(database, STORE_FORMAT);
  if (stored === String(STORE_FORMAT)) return;
  const from = olderFormat(stored);
  if (from === null) throw newer(place, stored);
  if (migration === "none") return;
  for (let format = from; format < STORE_FORMAT; format += 1) {
    const step = STEPS[format] as Step;
    if (!(await step.concerns(database))) await writeNumber(database, format + 1);
    else if (migration === undefined) throw notMine(place, format);
    else if (migration === "salvage") await step.salvage(database).then(() => writeNumber(database, format + 1));
    else await take(step, { database, place, migration, format, last: format + 1 === STORE_FORMAT });
  }
}

/** Whether stores of this format can be brought to the one of now. @param format - as it stands in a store. */
export function isKnownFormat(format: string): boolean {
  return format === String(STORE_FORMAT) || olderFormat(format) !== null;
}

/** Of a store that was left between two formats it is the older one. Null for a format that is not known. */
function olderFormat(stored: string): number | null {
  const [, from] = /^(\d+)(?:to\d+)?$/.exec(stored) ?? [];
  const format = Number(from);
  return format in STEPS ? format : null;
}

type Taking = { database: Database; place: string; migration: Migration; format: number; last: boolean };

async function take(step: Step, o: Taking): Promise<void> {
  const { database, migration } = o;
  let mark = await begin(o);
  const job: Job = {
    database,
    get mark() {
      return mark;
    },
    async advance(progress, operations = []) {
      const next = { ...mark, progress };
      await database.batch([...operations, put(MARK_KEY, encodeMark(next))], { sync: true });
      mark = next;
    },
    onProgress: migration.onProgress ?? (() => undefined),
  };
  try {
    await step.run(job);
  } catch (thrown) {
    throw thrown instanceof RangeError ? notSound(o, mark.backup, thrown) : notDone(o, thrown);
  }
  await end(o, mark);
}

/** Takes up what an earlier start has begun, unless an older version has written to the store since; else backs it up. */
async function begin(o: Taking): Promise<Mark> {
  const { database, migration, format } = o;
  try {
    const found = readMark(database);
    if (found !== null && found.progress.phase !== "new") return found;
    // The old rows may be gone: nothing is to be made from what is left of them.
    if (database.getSync(FORMAT_KEY)?.toString() !== String(format))
      throw new RangeError("what says how far it had come does not read as that");
    const book = bookNow(database);
    if (found !== null && found.size === book.size && found.root === book.root) return found;
    const backup = await migration.backUp({ snapshot: () => new StoreSnapshot(database) });
    const { at } = migration;
    const mark: Mark = { v: 1, from: format, backup, at, ...book, progress: { phase: "new", done: 0 } };
    await database.batch([put(MARK_KEY, encodeMark(mark))], { sync: true });
    return mark;
  } catch (thrown) {
    throw thrown instanceof RangeError ? notSound(o, null, thrown) : notDone(o, thrown);
  }
}

/** After the last step the mark becomes the word that is left to be put on record. */
async function end({ database, format, last }: Taking, mark: Mark): Promise<void> {
  const { from, backup, at, size, root } = mark;
  const to = format + 1;
  const word = at === null || !last ? [] : [put(WORD_KEY, encodeWord({ v: 1, at, from, to, backup, size, root }))];
  const next = last
    ? { type: "del" as const, key: MARK_KEY }
    : put(MARK_KEY, encodeMark({ ...mark, progress: { phase: "new", done: 0 } }));
  await database.batch([...word, next, put(FORMAT_KEY, Buffer.from(String(to)))], { sync: true });
}

function writeNumber(database: Database, format: number): Promise<void> {
  return database.batch([put(FORMAT_KEY, Buffer.from(String(format)))], { sync: true });
}

function put(key: Buffer, value: Buffer): Operation {
  return { type: "put", key, value };
}

function newer(place: string, stored: string): RastroError {
  const message = `Opening the store in ${place} failed: its format is ${stored}, expected ${STORE_FORMAT}. Use the version of Rastro that wrote it, or a newer one.`;
  return new RastroError({ code: "store_newer", message, given: stored, expected: String(STORE_FORMAT) });
}

function notMine(place: string, format: number): RastroError {
  const message = `Opening the store in ${place} failed: it holds a book in format ${format}, expected ${STORE_FORMAT}. Start the service of the book: it backs the store up and brings it to format ${STORE_FORMAT}.`;
  return new RastroError({ code: "store_unusable", message, given: String(format), expected: String(STORE_FORMAT) });
}

/** @param backup - the one that was made before, where it is known. */
function notSound({ database, place, format }: Taking, backup: string | null, cause: RangeError): RastroError {
  const untouched = database.getSync(FORMAT_KEY)?.toString() === String(format);
  const advice = untouched
    ? `Nothing of it was changed: verify it with the version of Rastro that wrote it, or restore a verified backup.`
    : `Restore the backup that was made before: ${backup ?? "the newest whose reason is before-migration"}.`;
  const message = `Bringing the store in ${place} from format ${format} to ${format + 1} failed: ${cause.message}. ${advice}`;
  return new RastroError({ code: "store_unusable", message, given: place }, { cause });
}

/** What the disk or the backup throws. It goes on at the next opening. */
function notDone({ place, format }: Taking, cause: unknown): RastroError {
  if (cause instanceof RastroError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Bringing the store in ${place} from format ${format} to ${format + 1} failed: ${why}. Check that the disk is not full and the folder can be written, and start again: it goes on where it was.`;
  return new RastroError({ code: "store_unusable", message, given: place }, { cause });
}
