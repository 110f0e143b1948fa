import { rootOf } from "../../ledger/tree.ts";
import { decodeHead } from "../book/head-state.ts";
import { decodeKept } from "../book/checkpoints.ts";
import { CHECKPOINTS, HEAD_KEY } from "../keys.ts";
import { NoteFile } from "../book/note-file.ts";
import type { KeyRange, Store } from "../store/store.ts";

/**
 * A head that somebody has seen of a book. `by` says who: `the head note`, `the store`, `a witness`. `root` is null for
 * who knows a record and no root.
 */
export type KnownHead = { size: number; root: Buffer | null; by: string };

/**
 * What the present folder of a book still says of it: its head note, and the head in its store where that can be read.
 *
 * @param o.store - null where it cannot be opened.
 * @param o.origin - heads of another log are none of this book's.
 */
export async function headsInPlace(o: { headNote: string; origin: string; store: Store | null }): Promise<KnownHead[]> {
  const heads: KnownHead[] = [];
  const file = new NoteFile(o.headNote);
  const note = await file.read();
  await file.close();
  if (typeof note === "object" && note.origin === o.origin) heads.push({ ...note, by: "the head note" });
  const head = o.store === null ? null : decodeHead(await o.store.get(HEAD_KEY).catch(() => Buffer.alloc(0)));
  if (head !== null && head.range.size > 0) {
    heads.push({ size: head.range.size, root: rootOf(head.range), by: "the store that is there" });
  }
  const { store } = o;
  const signed = store === null ? null : await newestCheckpoint((range) => store.range(range));
  if (signed?.checkpoint.head.origin === o.origin) {
    const { size, root } = signed.checkpoint.head;
    heads.push({ size, root, by: "a checkpoint that was signed" });
  }
  return heads;
}

/** The newest checkpoint among rows; null where there is none, or none that can be read: what cannot says nothing. */
export async function newestCheckpoint(rows: (range: KeyRange) => AsyncIterable<[Buffer, Buffer]>) {
  try {
    for await (const [, value] of rows({ ...CHECKPOINTS, reverse: true, limit: 1 })) return decodeKept(value);
  } catch {
    return null;
  }
  return null;
}

/**
 * Whether a backup (or `what` else) is older than what is known, or of another history.
 *
 * @param roots - the backup's root over its first so many records, for each known size that it reaches.
 * @returns a sentence that says what is known and by whom; null when the backup has all of it.
 */
export function whyOlder(
  known: readonly KnownHead[],
  size: number,
  roots: ReadonlyMap<number, Buffer>,
  what = "the backup",
): string | null {
  const [highest] = known.toSorted((a, b) => b.size - a.size);
  if (highest !== undefined && highest.size > size)
    return `${highest.by} knows of ${highest.size} records, ${what} has ${size}`;
  const fork = known.find(({ size, root }) => size > 0 && root !== null && !(roots.get(size)?.equals(root) ?? false));
  return fork === undefined ? null : `${fork.by} has another root for the first ${fork.size} records than ${what}`;
}
