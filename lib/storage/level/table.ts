/*
 * LevelDB's table files (`*.ldb`), read without LevelDB: to look at the checksums that it does not look at, and to get
 * at what is sound in a table that it cannot use (google/leveldb, doc/table_format.md).
 */

import { open } from "node:fs/promises";
import { Reader } from "./reader.ts";

/** What a table has: whether any part of it is damaged, and the rows of those blocks that are not. */
export type TableContents = { damaged: boolean; rows: TableRow[] };

/** `value` is null for a key that was deleted. */
export type TableRow = { key: Buffer; value: Buffer | null };

const FOOTER_LENGTH = 48;
/** The last eight bytes of every table. */
const MAGIC = Buffer.from("57fb808b247547db", "hex");
/** Type of the compression, and checksum. */
const TRAILER_LENGTH = 5;
/** A key in a table ends in its sequence number and type. */
const KEY_SUFFIX_LENGTH = 8;
const DELETED = 0;

/** Whether every checksum of a table fits. */
export function isSoundTable(bytes: Buffer): boolean {
  const { blocks, isWhole } = readBlocks(bytes);
  return isWhole && !blocks.includes(null);
}

/**
 * Whether what a table has beside its data is sound: the index, and the filters by which keys are looked for. Reading
 * from one end to the other finds nothing amiss where these are damaged, looking for a key does.
 */
export async function isSoundBeside(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const read = async (offset: number, length: number) => {
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
      return buffer;
    };
    const blockOf = async ({ offset, size: length }: Handle) =>
      blockAt(await read(offset, length + TRAILER_LENGTH), { offset: 0, size: length });
    const footer = new Reader(await read(Math.max(0, size - FOOTER_LENGTH), FOOTER_LENGTH));
    const meta = await blockOf(footer.handle());
    const index = await blockOf(footer.handle());
    if (meta === null || index === null) return false;
    for (const [, value] of entriesOf(unpacked(meta)))
      if ((await blockOf(new Reader(value).handle())) === null) return false;
    return true;
  } catch (thrown) {
    if (thrown instanceof RangeError) return false;
    throw thrown;
  } finally {
    await file.close();
  }
}

/** Reads what is sound in a table. */
export function readTable(bytes: Buffer): TableContents {
  const { blocks, isWhole } = readBlocks(bytes);
  const sound = blocks.filter((block) => block !== null);
  return { damaged: !isWhole || sound.length < blocks.length, rows: sound.flatMap((block) => rowsOf(unpacked(block))) };
}

/** The data blocks, null for one that is damaged; none where the index of them is. */
function readBlocks(bytes: Buffer): { blocks: (StoredBlock | null)[]; isWhole: boolean } {
  try {
    const footer = new Reader(bytes.subarray(-FOOTER_LENGTH));
    const meta = blockAt(bytes, footer.handle());
    const index = blockAt(bytes, footer.handle());
    if (index === null || !bytes.subarray(-MAGIC.length).equals(MAGIC)) return { blocks: [], isWhole: false };
    const blocks = blocksOf(bytes, index);
    // The blocks beside the data: filters, by which a key is not looked for where it is not.
    return { blocks, isWhole: meta !== null && !blocksOf(bytes, meta).includes(null) };
  } catch (thrown) {
    if (thrown instanceof RangeError) return { blocks: [], isWhole: false };
    throw thrown;
  }
}

/** What an index leads to. */
function blocksOf(bytes: Buffer, index: StoredBlock): (StoredBlock | null)[] {
  return entriesOf(unpacked(index)).map(([, value]) => blockAt(bytes, new Reader(value).handle()));
}

function rowsOf(block: Buffer): TableRow[] {
  return entriesOf(block).flatMap(([key, value]) => {
    if (key.length < KEY_SUFFIX_LENGTH) return [];
    const isDeleted = key[key.length - KEY_SUFFIX_LENGTH] === DELETED;
    return { key: key.subarray(0, -KEY_SUFFIX_LENGTH), value: isDeleted ? null : value };
  });
}

type Handle = { offset: number; size: number };
type StoredBlock = { contents: Buffer; isPacked: boolean };

/** A block as it is stored; null when its checksum does not fit. @throws RangeError for one that lies elsewhere. */
function blockAt(bytes: Buffer, { offset, size }: Handle): StoredBlock | null {
  const stored = bytes.subarray(offset, offset + size + TRAILER_LENGTH);
  if (stored.length < size + TRAILER_LENGTH) throw new RangeError("a block lies beyond the table's end");
  if (masked(crc32c(stored.subarray(0, size + 1))) !== stored.readUInt32LE(size + 1)) return null;
  return { contents: stored.subarray(0, size), isPacked: stored[size] !== 0 };
}

function unpacked({ contents, isPacked }: StoredBlock): Buffer {
  return isPacked ? unsnapped(contents) : contents;
}

/** Keys and values of a block. A key repeats only what it does not share with the one before. */
function entriesOf(block: Buffer): [Buffer, Buffer][] {
  const restarts = block.readUInt32LE(block.length - 4);
  const reader = new Reader(block.subarray(0, block.length - 4 - 4 * restarts));
  const entries: [Buffer, Buffer][] = [];
  let key = Buffer.alloc(0);
  while (!reader.ended) {
    const [shared, rest, length] = [reader.varint(), reader.varint(), reader.varint()];
    key = Buffer.concat([key.subarray(0, shared), reader.take(rest)]);
    entries.push([key, reader.take(length)]);
  }
  return entries;
}

/** Undoes Snappy (google/snappy, format_description.txt). */
function unsnapped(bytes: Buffer): Buffer {
  const reader = new Reader(bytes);
  const out = Buffer.alloc(reader.varint());
  let at = 0;
  while (!reader.ended) {
    const tag = reader.byte();
    if ((tag & 3) === 0) {
      const length = literalLength(tag >> 2, reader);
      reader.take(length).copy(out, at);
      at += length;
      continue;
    }
    const { length, offset } = copyOf(tag, reader);
    if (offset === 0 || offset > at || at + length > out.length) throw new RangeError("a copy points out of its block");
    // Byte by byte: what is copied may reach into what is being written.
    for (const end = at + length; at < end; at += 1) out.writeUInt8(out.readUInt8(at - offset), at);
  }
  return out;
}

function literalLength(tag: number, reader: Reader): number {
  return tag < 60 ? tag + 1 : reader.take(tag - 59).readUIntLE(0, tag - 59) + 1;
}

function copyOf(tag: number, reader: Reader): { length: number; offset: number } {
  if ((tag & 3) === 1) return { length: ((tag >> 2) & 7) + 4, offset: ((tag >> 5) << 8) | reader.byte() };
  const width = (tag & 3) === 2 ? 2 : 4;
  return { length: (tag >> 2) + 1, offset: reader.take(width).readUIntLE(0, width) };
}

/** CRC-32C (Castagnoli), reflected. */
const CRC_TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (let at = 0; at < bytes.length; at += 1)
    crc = (CRC_TABLE[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** LevelDB stores checksums rotated, with a constant added: a checksum over bytes that hold checksums is a poor one. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
