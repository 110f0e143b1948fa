import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Damage, VerifyReport } from "../../contracts/book.ts";
import type { BookName } from "../../contracts/names.ts";
import { attempt } from "../../ledger/findings.ts";
import type { Finding, StoredBook, VerifyInput } from "../../ledger/verify.ts";
import type { KnownRoot } from "../../ledger/walk.ts";
import { reachOf } from "../book/book-damage.ts";
import { decodeKept } from "../book/checkpoints.ts";
import { decodeHead } from "../book/head-state.ts";
import { CHECKPOINTS, HEAD_KEY, isUuid, keys, readSeqText, readU64, u64, VERIFIED_KEY } from "../keys.ts";
import type { ReadNote } from "../book/note-file.ts";
import { placeKey } from "./place-key.ts";
import type { Store } from "../store/store.ts";
import { storedTiles } from "../book/stored-tiles.ts";
import { BLOCK_RECORDS } from "./verify-block.ts";
import { verifyBook } from "./verify-book.ts";

export type VerifyOptions = {
  /** Raw public key of a name, null when it is not known; without it every signature counts as of an unknown key. */
  keyOf?: (name: string) => Uint8Array | null;
  /**
   * The first record to be read, brought down to a multiple of 8,192; `last` for where the last verification that found
   * the book whole had come to. What lies before it is taken from the tree as it is; its root is compared with what that
   * verification has noted.
   */
  from?: number | "last";
  /** Records done, of those that are read. */
  onProgress?: (done: number, of: number) => void;
  /** Threads for a large book that can be read by several; the number of cores when it is left out. */
  threads?: number;
  now?: () => number;
  random?: (length: number) => Buffer;
};

/** A book as far as a verification has to do with it. */
export type VerifiedBook = { store: Store; name: BookName; origin: string; readNote: () => Promise<ReadNote | null> };

/** Verifies a book as it is now. A whole one is noted as verified up to its size. */
export async function runVerification(book: VerifiedBook, options: VerifyOptions): Promise<VerifyReport> {
  const now = options.now ?? Date.now;
  const startedAt = now();
  const input = await inputOf(book, options);
  const { findings, size, root, signatures, from } = await verifyBook({
    store: book.store,
    input,
    threads: options.threads ?? availableParallelism(),
    random: options.random ?? randomBytes,
    ...(options.onProgress !== undefined && { onProgress: options.onProgress }),
  });
  if (findings.count === 0 && size > 0) await noteVerified(book.store, { size, root });
  return {
    ok: findings.count === 0,
    book: book.name,
    from,
    size,
    root: root.toString("hex"),
    damaged: findings.named.map(toDamage),
    damagedCount: findings.count,
    signatures,
    startedAt: new Date(startedAt).toISOString(),
    tookMs: Math.max(0, Math.round(now() - startedAt)),
  };
}

async function inputOf(book: VerifiedBook, options: VerifyOptions): Promise<VerifyInput> {
  const { store, origin } = book;
  const note = await book.readNote();
  const kept = await keptRoots(book);
  // Records may be appended meanwhile: a reach from before the head is never ahead of a sound head, and one that is
  // bounded by the head never behind it. Nor is a head behind what was known before it was read.
  const reachBefore = await reachOf(store);
  const state = attempt(() => decodeHead(store.getNow(HEAD_KEY)) ?? undefined).value;
  const size = state?.range.size ?? 0;
  const reach = reachBefore !== null && reachBefore > size ? reachBefore : await reachOf(store, size);
  const verified = readVerified(attempt(() => store.getNow(VERIFIED_KEY)).value);
  const from = options.from === "last" ? (verified?.size ?? 0) : (options.from ?? 0);
  return {
    stored: storedBook(store),
    head: { size, tip: state?.tip ?? null, range: state?.range ?? null },
    // Where LevelDB cannot say how far the records go, each is asked for.
    reach: reach ?? size,
    note: typeof note === "object" && note !== null && note.origin !== origin ? "unreadable" : note,
    known: verified === null ? kept : [...kept, verified],
    keyOf: options.keyOf ?? (() => null),
    from: Math.min(from, size),
  };
}

function storedBook(store: Store): StoredBook {
  return {
    record: (seq) => store.getNow(keys.record(seq)),
    tile: storedTiles(store),
    seqOf: (id) => (isUuid(id) ? readSeq(store.getNow(keys.id(id))) : undefined),
  };
}

function readSeq(value: Buffer | undefined): number | undefined {
  return value === undefined ? undefined : readSeqText(value);
}

function readVerified(bytes: Buffer | null): KnownRoot | null {
  if (bytes?.length !== 40) return null;
  const size = attempt(() => readU64(bytes)).value;
  return size === null ? null : { size, root: bytes.subarray(8), place: { at: "verified" } };
}

/** Of checkpoints within one block so many are compared, the last ones: each costs a dozen look-ups in one turn. */
const ROOTS_PER_BLOCK = 32;

/** What the checkpoints say that are kept with a book. One that does not read as one says nothing. */
async function keptRoots({ store, origin }: VerifiedBook): Promise<KnownRoot[]> {
  const roots: KnownRoot[] = [];
  try {
    for await (const [, value] of store.range(CHECKPOINTS)) {
      const head = attempt(() => decodeKept(value).checkpoint.head).value;
      if (head?.origin === origin) roots.push({ ...head, place: { at: "checkpoint", size: head.size } });
    }
  } catch {
    // A part of the store that cannot be read: what was read before it is known.
  }
  const byBlock = Map.groupBy(roots, ({ size }) => Math.floor(size / BLOCK_RECORDS));
  return [...byBlock.values()].flatMap((within) => within.slice(-ROOTS_PER_BLOCK));
}

/** It is of use only to the next verification, which can do without it. */
async function noteVerified(store: Store, { size, root }: { size: number; root: Buffer }): Promise<void> {
  await store.writePatiently((tx) => tx.put(VERIFIED_KEY, Buffer.concat([u64(size), root]))).catch(() => undefined);
}

function toDamage(finding: Finding): Damage {
  const { seq, kind, place, expected, found } = finding;
  return { seq, kind, key: placeKey(place).toString("hex"), expected, found };
}
