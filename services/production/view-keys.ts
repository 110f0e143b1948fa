import { idBytes, u64 } from "../../lib/storage/keys.ts";

/*
 * Keys of the views. Every one begins with "v" and can be made again from the book alone.
 *
 *   ve <16-byte id>                    entry as it is now            vt                               totals of all
 *   vn <u64be first seq>               listing, oldest first         vL <lot>                         totals of a lot
 *   vl <u16be length> <lot> <u64be>    listing of a lot              vm <machine>, vo <order>         live entries of each
 *                                                                    vM, vO <u16be length> <lot> …    the same within a lot
 */

export const VIEWS = { gte: Buffer.from("v"), lt: Buffer.from("w") } as const;
export const LOTS = { gte: Buffer.from("vL"), lt: Buffer.from("vM") } as const;
export const NEWEST = Buffer.from("vn");
export const ALL_TOTALS = Buffer.from("vt");

export function entryKey(id: string): Buffer {
  return Buffer.concat([Buffer.from("ve"), idBytes(id)]);
}

export function newestKey(firstSeq: number): Buffer {
  return Buffer.concat([NEWEST, u64(firstSeq)]);
}

/** Where the listing of a lot lies; its keys are this and eight bytes. */
export function lotListing(lot: string): Buffer {
  return withLot("vl", lot);
}

export function lotEntryKey(lot: string, firstSeq: number): Buffer {
  return Buffer.concat([lotListing(lot), u64(firstSeq)]);
}

export function lotTotalsKey(lot: string): Buffer {
  return Buffer.from(`vL${lot}`);
}

export function lotOfTotalsKey(key: Buffer): string {
  return key.subarray(LOTS.gte.length).toString("utf8");
}

/** Counts the live entries of a machine or an order; `lot` null for those of the whole plant. */
export function countKey(kind: "machine" | "order", lot: string | null, name: string): Buffer {
  if (lot === null) return Buffer.from(`${kind === "machine" ? "vm" : "vo"}${name}`);
  return Buffer.concat([withLot(kind === "machine" ? "vM" : "vO", lot), Buffer.from(name)]);
}

/** The first sequence number at the end of a listing's key, as 16 hexadecimal digits: a cursor. */
export function cursorOf(listingKey: Buffer): string {
  return listingKey.subarray(-8).toString("hex");
}

/** The length goes first so that no lot's keys begin with another lot's. */
function withLot(prefix: string, lot: string): Buffer {
  const text = Buffer.from(lot);
  const head = Buffer.alloc(4);
  head.write(prefix, "latin1");
  head.writeUInt16BE(text.length, 2);
  return Buffer.concat([head, text]);
}
