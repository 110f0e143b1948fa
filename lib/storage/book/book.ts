import type { BookHead, BookProof, BookRecord, VerifyReport } from "../../contracts/book.ts";
import { RastroError } from "../../contracts/errors.ts";
import type { BookName } from "../../contracts/names.ts";
import { EMPTY_ROOT, leafHash } from "../../ledger/hash.ts";
import { verifyInclusion } from "../../ledger/proof.ts";
import { type LedgerRecord, NO_PREVIOUS, openRecord, sealRecord } from "../../ledger/record.ts";
import { grownTiles, hashIn, tileOf } from "../../ledger/tiles.ts";
import { appendLeaf, consistencyPath, inclusionPath, type NodeReader, rootOf } from "../../ledger/tree.ts";
import { findDamage } from "./book-damage.ts";
import { runVerification, type VerifyOptions } from "../verification/book-verification.ts";
import type { LogSigner } from "./checkpoints.ts";
import { decodeHead, HEAD, type HeadState } from "./head-state.ts";
import { KeptNote } from "./kept-note.ts";
import { HEAD_KEY, isUuid, keys, readSeqText, seqText } from "../keys.ts";
import { describeRepaired } from "./missing-records.ts";
import type { Store, Tx } from "../store/store.ts";
import { storedNodes } from "./stored-tiles.ts";

export type AppendInput = Omit<LedgerRecord, "v" | "seq" | "prev">;

/**
 * Called in the stage of every append, with what was appended. It reads nothing but its transaction, since the append
 * before it may still be on its way to the disk. What it throws drops the stage.
 */
export type OnAppend = (tx: Tx, booked: { seq: number; leaf: string }, input: AppendInput) => void;

export type BookOptions = {
  store: Store;
  name: BookName;
  /** Names the log for good: the plant's id and the book. */
  origin: string;
  /** Path of the head note, outside the store's folder. Left out in memory. */
  headNote?: string;
  /** Why the store is a repaired copy of one that could not be opened: the book is damaged then, whatever it says of itself. */
  repaired?: string | null;
  /** Signs the head note. Left out: it stays unsigned, for tests. */
  signer?: LogSigner;
};

/** What a book is on disk, as its log's checkpoints say it. */
export type LogHead = { origin: string; size: number; root: Buffer };

/**
 * A chain of records over a store, with a Merkle tree on top. All of its state lies under keys, written in the same
 * batch as the record: a stage that is dropped leaves nothing to roll back. One book a store.
 */
export class Book {
  readonly name: BookName;
  readonly origin: string;
  /**
   * What was wrong when the book was opened, in a sentence; null when head, last record and head note agree. A damaged
   * book takes no records and is still read and verified.
   */
  readonly damage: string | null;
  readonly #store: Store;
  readonly #note: KeptNote | null;
  readonly #followers: OnAppend[] = [];
  #held: string | null = null;

  private constructor(options: BookOptions, note: KeptNote | null, damage: string | null) {
    this.#store = options.store;
    this.name = options.name;
    this.origin = options.origin;
    this.#note = note;
    this.damage = damage;
  }

  /**
   * Opens the book of a store and compares head, last record and head note. What disagrees is not repaired: see
   * {@link Book.damage}. A head note that is behind (a crash before it was written) is brought up to date.
   */
  static async open(options: BookOptions): Promise<Book> {
    const { store, origin, headNote, signer = null } = options;
    const kept = headNote === undefined ? null : new KeptNote({ path: headNote, origin, signer });
    const note = kept === null ? null : await kept.open();
    const damage =
      typeof options.repaired === "string"
        ? await describeRepaired({ store, note, repaired: options.repaired })
        : await findDamage({ store, origin, note, known: signer?.known() ?? null });
    const book = new Book(options, kept, damage);
    if (damage === null && kept !== null) {
      await kept.prepare(book.#headOnDisk().range)();
      store.withEachBatch((written) => kept.prepare(book.#soundHead(written.read(HEAD)).range));
    }
    return book;
  }

  /**
   * Adds a record within a stage. The caller has looked with {@link Book.find} whether the id is there already.
   *
   * @param id - the event's id, a UUID.
   * @param eventText - canonical text of `input.event` where the caller has it.
   * @throws RastroError `book_damaged`, `book_behind`; LedgerError `too-large` or `not-canonical`, with nothing written.
   */
  append(tx: Tx, input: AppendInput, id: string, eventText?: string): { seq: number; leaf: string } {
    if (this.damage !== null) throw this.#damaged(`Appending to the book ${this.name}`, this.damage);
    if (this.#held !== null) throw this.#behind(this.#held);
    const { range, tip } = this.#soundHead(tx.read(HEAD));
    const seq = range.size;
    const sealed = sealRecord({ ...input, seq, prev: tip?.toString("hex") ?? NO_PREVIOUS }, eventText);
    const grown = appendLeaf(range, sealed.leaf);
    tx.put(keys.record(seq), sealed.bytes);
    const tiles = grownTiles(grown.completed, keys.tile, (key) => tx.get(key));
    for (const { key, bytes } of tiles) tx.put(key, bytes);
    tx.put(keys.id(id), seqText(seq));
    tx.set(HEAD, { range: grown.range, tip: sealed.leaf });
    const booked = { seq, leaf: sealed.leaf.toString("hex") };
    for (const follow of this.#followers) follow(tx, booked, input);
    return booked;
  }

  /**
   * Adds what has to be written in one batch with each record, whoever appends it: the service's own changes, and what
   * an intake books, refuses, sets apart or finds missing.
   */
  onAppend(follow: OnAppend): void {
    this.#followers.push(follow);
  }

  /**
   * Takes no more records, since somebody has seen more of the book than it has; null lets it take them again. What is
   * found out while the book is open, and is no damage: what it has agrees with itself.
   */
  hold(why: string | null): void {
    this.#held = why;
  }

  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** Why the book takes no records, in a sentence; null while it does. */
  whyShut(): string | null {
    return this.damage ?? this.#held;
  }

  /** Number of the record with this event id; within a stage it sees that stage's and earlier writes. */
  find(id: string, tx?: Tx): number | undefined {
    if (!isUuid(id)) return undefined;
    const value = this.#get(keys.id(id), tx);
    return value === undefined ? undefined : readSeqText(value);
  }

  /** Leaf hash of a record in hexadecimal, as the tree has it. */
  leafAt(seq: number, tx?: Tx): string | undefined {
    return this.#leafOf(seq, tx)?.toString("hex");
  }

  /** Size and root over everything that is on disk. */
  head(): BookHead {
    const { origin, size, root } = this.logHead();
    return { book: this.name, origin, size, root: root.toString("hex") };
  }

  /** As {@link Book.head}, for a checkpoint. */
  logHead(): LogHead {
    const state = decodeHead(this.#store.getNow(HEAD_KEY));
    return {
      origin: this.origin,
      size: state?.range.size ?? 0,
      root: state === null ? EMPTY_ROOT : rootOf(state.range),
    };
  }

  /**
   * A record with the hash of its bytes.
   *
   * @throws RastroError `book_damaged` when the bytes are missing or do not hash to the tree's leaf.
   */
  record(seq: number): BookRecord | undefined {
    const bytes = this.#bytesAt(seq);
    return bytes === undefined
      ? undefined
      : { seq, leaf: leafHash(bytes).toString("hex"), bytes: bytes.toString("base64") };
  }

  /** A record's content; within a stage also of a record that is not on disk yet. Throws as {@link Book.record}. */
  open(seq: number, tx?: Tx): LedgerRecord | undefined {
    const bytes = this.#bytesAt(seq, tx);
    if (bytes === undefined) return undefined;
    try {
      return openRecord(bytes);
    } catch (cause) {
      throw this.#damaged(`Reading record ${seq} of the book ${this.name}`, "its bytes are no record", cause);
    }
  }

  /**
   * A record with the proof that it is in the book of now.
   *
   * @throws RastroError `unknown_record`, or `book_damaged` when the record or a node of the path is.
   */
  prove(seq: number): BookProof {
    const head = this.head();
    const record = seq < head.size ? this.record(seq) : undefined;
    if (record === undefined) {
      const message = `Proving record ${seq} of the book ${this.name} failed: the book has records 0 to ${head.size - 1}.`;
      throw new RastroError({ code: "unknown_record", message, field: "seq", given: String(seq) });
    }
    const path = inclusionPath(seq, head.size, this.#nodes());
    const [leaf, root] = [record.leaf, head.root].map((hash) => Buffer.from(hash, "hex")) as [Buffer, Buffer];
    if (!verifyInclusion({ seq, size: head.size, leaf, path, root }))
      throw this.#damaged(
        `Proving record ${seq} of the book ${this.name}`,
        "a node on its path does not lead to the root",
      );
    return { record, head, path: path.map((hash) => hash.toString("hex")) };
  }

  /**
   * Proof that the book of `first` records is a beginning of the one of `second` (RFC 9162 §2.1.4), in hexadecimal.
   *
   * @throws RastroError `unknown_record` for a size that the book does not have, `book_damaged` for a missing node.
   */
  consistency(first: number, second: number): string[] {
    const { size } = this.logHead();
    if (first > second || second > size) {
      const message = `Proving from size ${first} to ${second} of the book ${this.name} failed: expected sizes up to ${size}, the smaller first.`;
      throw new RastroError({ code: "unknown_record", message, field: "second", given: `${first}, ${second}` });
    }
    return consistencyPath(first, second, this.#nodes()).map((hash) => hash.toString("hex"));
  }

  /** Writes the head note again, with the keys of now. On disk when it resolves. */
  async signAnew(): Promise<void> {
    await this.#note?.signAnew(this.#headOnDisk().range);
  }

  /**
   * Reads all records, or those from a place on, and names what does not agree. Other work goes on meanwhile; appends of
   * that time are not covered.
   *
   * @throws RastroError `store_unusable` when the store was closed, or had to be opened anew, meanwhile.
   */
  verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    const readNote = async () => (this.#note === null ? null : this.#note.read());
    return runVerification({ store: this.#store, name: this.name, origin: this.origin, readNote }, options);
  }

  /** Lets the head note's file go; the store is closed by whoever opened it. */
  async close(): Promise<void> {
    await this.#note?.close();
  }

  #bytesAt(seq: number, tx?: Tx): Buffer | undefined {
    if (!isSeq(seq)) return undefined;
    const bytes = this.#get(keys.record(seq), tx);
    const leaf = this.#leafOf(seq, tx);
    if (bytes === undefined && leaf === undefined) return undefined;
    if (bytes === undefined || leaf === undefined || !leafHash(bytes).equals(leaf)) {
      throw this.#damaged(
        `Reading record ${seq} of the book ${this.name}`,
        "its bytes do not hash to the leaf of the tree",
      );
    }
    return bytes;
  }

  #leafOf(seq: number, tx?: Tx): Buffer | undefined {
    if (!isSeq(seq)) return undefined;
    const { level, index, at } = tileOf(0, seq);
    return hashIn(this.#get(keys.tile(level, index), tx), at);
  }

  #nodes(): NodeReader {
    return storedNodes(this.#store, (level, index) =>
      this.#damaged(`Proving from the book ${this.name}`, `node ${index} of level ${level} is missing`),
    );
  }

  #headOnDisk(): HeadState {
    return this.#soundHead(decodeHead(this.#store.getNow(HEAD_KEY)));
  }

  #soundHead(state: HeadState | null): HeadState {
    if (state === null) throw this.#damaged(`Reading the head of the book ${this.name}`, "its bytes are no head");
    return state;
  }

  #get(key: Buffer, tx?: Tx): Buffer | undefined {
    return tx === undefined ? this.#store.getNow(key) : tx.get(key);
  }

  #behind(why: string): RastroError {
    return new RastroError({ code: "book_behind", message: `Appending to the book ${this.name} failed: ${why}.` });
  }

  #damaged(action: string, why: string, cause?: unknown): RastroError {
    return new RastroError(
      { code: "book_damaged", message: `${action} failed: ${why}. Keep a copy of the folder and run a verification.` },
      { cause },
    );
  }
}

function isSeq(seq: number): boolean {
  return Number.isSafeInteger(seq) && seq >= 0;
}
