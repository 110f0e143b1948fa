import { LedgerError } from "../../ledger/error.ts";
import { leafHash } from "../../ledger/hash.ts";
import { type LedgerRecord, NO_PREVIOUS, openRecord } from "../../ledger/record.ts";
import { cutTiles, grownTiles } from "../../ledger/tiles.ts";
import { appendLeaf, type Node, type Range, rangeOf, rootOf } from "../../ledger/tree.ts";
import { decodeHead, EMPTY_HEAD, encodeHead, type HeadState } from "./head-state.ts";
import { HEAD_KEY, isUuid, keys, readSeqText, seqText } from "../keys.ts";
import type { Store, Tx } from "../store/store.ts";
import { storedNodes } from "./stored-tiles.ts";

/** Bytes that are not the next record of the book that they were given for. Nothing of what came with them is written. */
export class NotTheNext extends Error {
  readonly seq: number;
  readonly bytes: Buffer;

  /** @param why - completes "record 12 …". */
  constructor(seq: number, bytes: Uint8Array, why: string) {
    super(`record ${seq} ${why}`);
    this.name = "NotTheNext";
    this.seq = seq;
    this.bytes = Buffer.from(bytes);
  }
}

/** A record as it is about to be written. */
type Link = { bytes: Buffer; leaf: Buffer; record: LedgerRecord; id: string; completed: Node[] };

/**
 * Writes records of another book, byte for byte and under the same keys as the book's own service does: record, tree
 * nodes, id and head. Each has to continue the one before; whether all of them are the log's is for its checkpoints to
 * say. The only writer of its store's records.
 */
export class RecordWriter {
  readonly #store: Store;
  #head: HeadState;

  private constructor(store: Store, head: HeadState) {
    this.#store = store;
    this.#head = head;
  }

  /** Null when the head of the store does not read as one. */
  static on(store: Store): RecordWriter | null {
    const head = decodeHead(store.getNow(HEAD_KEY));
    return head === null ? null : new RecordWriter(store, head);
  }

  /** How many records are on disk. */
  get size(): number {
    return this.#head.range.size;
  }

  /**
   * Appends records in one synced batch.
   *
   * @param also - further writes of the same batch.
   * @throws NotTheNext for the first that does not continue the book, with nothing written; RastroError
   *   `store_unusable`.
   */
  async append(
    records: readonly Uint8Array[],
    also?: (tx: Tx, opened: readonly LedgerRecord[]) => void,
  ): Promise<void> {
    const { links, head } = continueWith(this.#head, records);
    await this.#refuseKnownIds(links);
    try {
      await this.#store.write((tx) => {
        for (const link of links) put(tx, link);
        tx.put(HEAD_KEY, encodeHead(head));
        also?.(
          tx,
          links.map(({ record }) => record),
        );
      });
      this.#head = head;
    } catch (error) {
      // The batch is on disk or it is not; the disk knows.
      this.#head = decodeHead(this.#store.getNow(HEAD_KEY)) ?? this.#head;
      throw error;
    }
  }

  /** Root over the first `size` records; null where they are not all here, or a node is missing. */
  rootAt(size: number): Buffer | null {
    const range = this.#rangeAt(size);
    return range === null ? null : rootOf(range);
  }

  /**
   * Removes the records from `size` on, the last ones first, so that a crash leaves a whole book of fewer records.
   *
   * @throws RangeError where the tree over the first `size` records is not whole.
   */
  async cutBackTo(size: number): Promise<void> {
    while (this.size > size) {
      const next = Math.max(size, this.size - CUT_AT_ONCE);
      const range = this.#rangeAt(next);
      if (range === null) throw new RangeError(`the tree over the first ${next} records is not whole`);
      const head: HeadState = next === 0 ? EMPTY_HEAD : { range, tip: storedNodes(this.#store)(0, next - 1) };
      await this.#store.write((tx) => {
        for (let seq = this.size - 1; seq >= next; seq -= 1) remove(tx, seq);
        cutTree(tx, this.size, next);
        if (next === 0) tx.del(HEAD_KEY);
        else tx.put(HEAD_KEY, encodeHead(head));
      });
      this.#head = head;
    }
  }

  #rangeAt(size: number): Range | null {
    if (size > this.size) return null;
    if (size === this.size) return this.#head.range;
    try {
      return rangeOf(size, storedNodes(this.#store));
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  }

  /** An id that is there would be overwritten, and with it the way to the record that has it. */
  async #refuseKnownIds(links: readonly Link[]): Promise<void> {
    const known = await this.#store.getMany(links.map(({ id }) => keys.id(id)));
    const index = known.findIndex((value) => value !== undefined);
    const link = links[index];
    if (link === undefined) return;
    const before = readSeqText(known[index] as Buffer);
    throw new NotTheNext(link.record.seq, link.bytes, `has the id ${link.id}, which record ${before} has already`);
  }
}

/** Records that one batch of a cut removes. */
const CUT_AT_ONCE = 500;

function continueWith(head: HeadState, records: readonly Uint8Array[]): { links: Link[]; head: HeadState } {
  let { range, tip } = head;
  const ids = new Set<string>();
  const links = records.map((given) => {
    const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
    const { record, id } = open(range.size, tip, bytes);
    if (ids.has(id)) throw new NotTheNext(range.size, bytes, `has the id ${id}, which one just before it has already`);
    ids.add(id);
    const leaf = leafHash(bytes);
    const grown = appendLeaf(range, leaf);
    range = grown.range;
    tip = leaf;
    return { bytes, leaf, record, id, completed: grown.completed };
  });
  return { links, head: { range, tip } };
}

function open(seq: number, tip: Buffer | null, bytes: Buffer): { record: LedgerRecord; id: string } {
  const record = openOr(bytes, (why) => new NotTheNext(seq, bytes, why));
  if (record.seq !== seq) throw new NotTheNext(seq, bytes, `says of itself that it is record ${record.seq}`);
  const prev = tip?.toString("hex") ?? NO_PREVIOUS;
  if (record.prev !== prev) {
    throw new NotTheNext(seq, bytes, `continues a record with leaf ${record.prev}, and the one before it has ${prev}`);
  }
  const id = (record.event as { id?: unknown } | null)?.id;
  if (typeof id !== "string" || !isUuid(id)) throw new NotTheNext(seq, bytes, "has an event without an id");
  return { record, id };
}

function openOr(bytes: Buffer, refusal: (why: string) => NotTheNext): LedgerRecord {
  try {
    return openRecord(bytes);
  } catch (error) {
    if (error instanceof LedgerError) throw refusal("is not the canonical form of a record");
    throw error;
  }
}

function put(tx: Tx, { bytes, record, id, completed }: Link): void {
  tx.put(keys.record(record.seq), bytes);
  for (const tile of grownTiles(completed, keys.tile, (key) => tx.get(key))) tx.put(tile.key, tile.bytes);
  tx.put(keys.id(id), seqText(record.seq));
}

/** Removes a record. */
function remove(tx: Tx, seq: number): void {
  const bytes = tx.get(keys.record(seq));
  const id = bytes === undefined ? null : idIn(bytes);
  if (id !== null) tx.del(keys.id(id));
  tx.del(keys.record(seq));
}

function cutTree(tx: Tx, from: number, to: number): void {
  for (const { level, index, length } of cutTiles(from, to)) {
    const key = keys.tile(level, index);
    if (length === 0) tx.del(key);
    else tx.put(key, (tx.get(key) ?? Buffer.alloc(0)).subarray(0, length));
  }
}

function idIn(bytes: Buffer): string | null {
  try {
    const { id } = openRecord(bytes).event as { id?: unknown };
    return typeof id === "string" && isUuid(id) ? id : null;
  } catch {
    return null;
  }
}
