import { type Checkpoint, signedBy } from "../../ledger/checkpoint.ts";
import { leafHash } from "../../ledger/hash.ts";
import type { HeadNote } from "../../ledger/head-note.ts";
import type { VerifierKey } from "../../ledger/signed-note.ts";
import { rangeOf, rootOf } from "../../ledger/tree.ts";
import { decodeKept } from "./checkpoints.ts";
import { decodeHead, type HeadState } from "./head-state.ts";
import { CHECKPOINTS, HEAD_KEY, keys, readU64, RECORDS } from "../keys.ts";
import type { ReadNote } from "./note-file.ts";
import type { Store } from "../store/store.ts";
import { storedNodes } from "./stored-tiles.ts";

/**
 * The check at opening: whether the head, the last record and the head note tell one story. Cheap on purpose; what
 * lies between is for the walk.
 *
 * @param o.note - null where the book has no head note.
 * @returns a sentence that begins with the kind of damage, or null.
 */
export async function findDamage(o: Looked): Promise<string | null> {
  try {
    return await compareEnds(o);
  } catch (thrown) {
    return `unreadable: ${thrown instanceof Error ? thrown.message : "a part of the store"}`;
  }
}

async function compareEnds(o: Looked): Promise<string | null> {
  const head = decodeHead(o.store.getNow(HEAD_KEY));
  if (head === null) return "index: the bytes of the head are no head";
  const tail = await findTailDamage(o.store, head);
  if (tail !== null) return tail;
  const checkpoint = await newestCheckpoint(o.store);
  return findNoteDamage(o, head, checkpoint) ?? findCheckpointDamage(o, head, checkpoint);
}

/** `known`: the keys that the log signs with; null for a log without keys. */
type Looked = { store: Store; origin: string; note: ReadNote | null; known: readonly VerifierKey[] | null };

async function newestCheckpoint(store: Store): Promise<Checkpoint | null> {
  for await (const [, value] of store.range({ ...CHECKPOINTS, reverse: true, limit: 1 }))
    return decodeKept(value).checkpoint;
  return null;
}

/** What was signed once holds for ever: a book that says something else was put back, or rewritten. */
function findCheckpointDamage(o: Looked, head: HeadState, checkpoint: Checkpoint | null): string | null {
  if (checkpoint === null) return null;
  const { size, root } = checkpoint.head;
  if (size > head.range.size) return `truncated: a checkpoint counts ${size} records, the store ${head.range.size}`;
  return findFork(o.store, head, { size, root, whose: "a checkpoint" });
}

async function findTailDamage(store: Store, head: HeadState): Promise<string | null> {
  const { size } = head.range;
  const reach = await reachOf(store);
  if (reach === null) return "index: the last record cannot be found, a part of the store is unreadable";
  if (reach > size) return `index: the head counts ${size} records, but the store has record ${reach - 1}`;
  if (reach < size) return `truncated: the head counts ${size} records, but the last one in the store is ${reach - 1}`;
  const bytes = size === 0 ? undefined : store.getNow(keys.record(size - 1));
  if (bytes !== undefined && head.tip !== null && !leafHash(bytes).equals(head.tip)) {
    return `altered: record ${size - 1} does not hash to the leaf that the head has for it`;
  }
  return null;
}

/**
 * One more than the highest record number on disk; `below` leaves out the records from that number on. Null where it
 * cannot be read.
 */
export async function reachOf(store: Store, below?: number): Promise<number | null> {
  const { gte, lt } = RECORDS;
  const range = { gte, lt: below === undefined ? lt : keys.record(below), reverse: true, limit: 1 };
  try {
    for await (const [key] of store.range(range)) return readU64(key, 1) + 1;
    return 0;
  } catch {
    return null;
  }
}

function findNoteDamage(o: Looked, head: HeadState, checkpoint: Checkpoint | null): string | null {
  const { note, known } = o;
  const { size } = head.range;
  if (note === null) return null;
  if (note === "missing") return size === 0 ? null : `missing: there is no head note for a book of ${size} records`;
  if (note === "unreadable") return "altered: the head note does not read as one";
  if (note.origin !== o.origin) return `altered: the head note is of "${note.origin}", expected "${o.origin}"`;
  // Before a log has signed anything its note may be from a version that signed none.
  if (known !== null && checkpoint !== null && !isSignedBy(note, known))
    return "unsigned: no key of the log signed the head note";
  if (note.size > size) return `truncated: the head note counts ${note.size} records, the store ${size}`;
  return findFork(o.store, head, { ...note, whose: "the head note" });
}

function isSignedBy(note: HeadNote, known: readonly VerifierKey[]): boolean {
  return note.signed !== null && signedBy(note.signed, known).length > 0;
}

function findFork(store: Store, head: HeadState, said: { size: number; root: Buffer; whose: string }): string | null {
  const root = said.size === head.range.size ? rootOf(head.range) : rootAt(store, said.size);
  if (root === null) return `index: the tree over the first ${said.size} records is not whole`;
  if (!root.equals(said.root)) return `forked: ${said.whose} has another root for the first ${said.size} records`;
  return null;
}

function rootAt(store: Store, size: number): Buffer | null {
  try {
    return rootOf(rangeOf(size, storedNodes(store)));
  } catch {
    return null;
  }
}
