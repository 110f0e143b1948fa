import { z } from "zod";
import type { EventType } from "../../contracts/events.ts";
import { Count, Sha256Hex } from "../../contracts/names.ts";
import { sha256 } from "../../ledger/hash.ts";
import { type LedgerRecord, openRecord } from "../../ledger/record.ts";
import { keys, QUARANTINE, readU64, RECORDS, u64 } from "../keys.ts";
import type { Store, Tx } from "../store/store.ts";

/** `s/wanted/` ‖ u64 seq → SHA-256 ‖ u64 length: what a record tells of, and whose bytes are not here. */
const WANTED = Buffer.from("s/wanted/");
/** There once every record of before was looked through: a mirror of an earlier version took none of the bytes. */
const LOOKED_KEY = Buffer.from("s/wanted-looked");

const TYPE: EventType = "event.quarantined";
/** As much as is needed of a record that tells of something set apart. */
const Told = z.object({ type: z.literal(TYPE), payload: z.object({ sha256: Sha256Hex, bytes: Count }) });

/** Rows that are written at once. */
const BATCH = 100;

/** An event that a book set apart, by the record that tells of it: the bytes are not in the record. */
export type Wanted = {
  seq: number;
  digest: Buffer;
  /** How many there are. */
  length: number;
};

/** For the batch that writes records of a mirror: what they say was set apart is wanted from then on. */
export function noteWanted(tx: Tx, records: readonly LedgerRecord[]): void {
  for (const record of records) {
    const wanted = wantedBy(record);
    if (wanted === null || tx.get(keys.quarantine(wanted.digest)) !== undefined) continue;
    tx.put(wantedKey(record.seq), Buffer.concat([wanted.digest, u64(wanted.length)]));
  }
}

/**
 * What the book of a mirror has set apart: the bytes lie beside the records, under the same keys as in the book's own
 * store, and what is wanted of them is written with the records. So a mirror that is killed goes on where it was.
 */
export class MirroredQuarantine {
  readonly #store: Pick<Store, "get" | "range" | "write">;

  constructor(store: Pick<Store, "get" | "range" | "write">) {
    this.#store = store;
  }

  /** What is wanted by the first `size` records, the oldest first. */
  async wanted(size: number): Promise<Wanted[]> {
    const wanted: Wanted[] = [];
    for await (const [key, value] of this.#store.range({ gte: wantedKey(0), lt: wantedKey(size) })) {
      wanted.push({ seq: readU64(key, WANTED.length), digest: value.subarray(0, 32), length: readU64(value, 32) });
    }
    return wanted;
  }

  /** Keeps the bytes; on disk when it resolves. @returns false when they are others than those that were set apart. */
  async keep({ seq, digest }: Wanted, bytes: Buffer): Promise<boolean> {
    if (!sha256(bytes).equals(digest)) return false;
    await this.#store.write((tx) => {
      const key = keys.quarantine(digest);
      if (tx.get(key) === undefined) tx.put(key, Buffer.concat([u64(seq), bytes]));
      tx.del(wantedKey(seq));
    });
    return true;
  }

  /** Looks once through the first `size` records, for a mirror that has them from an earlier version. */
  async lookThrough(size: number): Promise<void> {
    if ((await this.#store.get(LOOKED_KEY)) !== undefined) return;
    let page: LedgerRecord[] = [];
    const write = () => this.#store.write((tx) => noteWanted(tx, page));
    for await (const [, bytes] of this.#store.range({ gte: RECORDS.gte, lt: keys.record(size) })) {
      if (!bytes.includes(TYPE)) continue;
      page.push(openRecord(bytes));
      if (page.length < BATCH) continue;
      await write();
      page = [];
    }
    await write();
    await this.#store.write((tx) => tx.put(LOOKED_KEY, Buffer.from("1")));
  }

  /** Gives up what the records from `size` on told of, before they are given up themselves. */
  async cutBackTo(size: number): Promise<void> {
    const gone: Buffer[] = [];
    for await (const [key] of this.#store.range({ gte: wantedKey(size), lt: AFTER_WANTED })) gone.push(key);
    for await (const [key, value] of this.#store.range(QUARANTINE)) if (readU64(value) >= size) gone.push(key);
    await this.#store.write((tx) => gone.forEach((key) => tx.del(key)));
  }
}

/**
 * Copies what a mirror has of the quarantine of its first `size` records into the store of a book that was made out of
 * them. Bytes that are damaged are left out.
 *
 * @returns of how many events that the records tell of the bytes are lacking.
 */
export async function copyQuarantine(o: { from: Pick<Store, "range">; to: Store; size: number }): Promise<number> {
  let lacking = 0;
  for await (const [,] of o.from.range({ gte: wantedKey(0), lt: wantedKey(o.size) })) lacking += 1;
  for await (const [key, value] of o.from.range(QUARANTINE)) {
    if (readU64(value) >= o.size) continue;
    if (keys.quarantine(sha256(value.subarray(8))).equals(key)) await o.to.write((tx) => tx.put(key, value));
    else lacking += 1;
  }
  return lacking;
}

function wantedBy({ event }: LedgerRecord): Omit<Wanted, "seq"> | null {
  if ((event as { type?: unknown } | null)?.type !== TYPE) return null;
  const told = Told.safeParse(event);
  if (!told.success) return null;
  const { sha256: digest, bytes: length } = told.data.payload;
  return { digest: Buffer.from(digest, "hex"), length };
}

function wantedKey(seq: number): Buffer {
  return Buffer.concat([WANTED, u64(seq)]);
}

/** The first key behind all of them: `/` is followed by `0`. */
const AFTER_WANTED = Buffer.from("s/wanted0");
