import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Reader } from "./reader.ts";

/*
 * LevelDB's manifest, read without LevelDB: which tables belong to the store. Others are what a merge that was cut
 * short has left (google/leveldb, doc/impl.md, doc/log_format.md, db/version_edit.cc).
 */

/** A manifest is a log: blocks of so many bytes, with records in pieces that each have a header. */
const BLOCK_LENGTH = 32_768;
const HEADER_LENGTH = 7;
const PIECE = { whole: 1, first: 2, last: 4 } as const;

/** Names of the tables that belong to a store; null where its manifest cannot be read. */
export async function liveTables(folder: string): Promise<string[] | null> {
  try {
    const manifest = (await readFile(join(folder, "CURRENT"), "utf8")).trim();
    const live = new Set<number>();
    for (const edit of recordsOf(await readFile(join(folder, manifest)))) apply(edit, live);
    return [...live].map((number) => `${String(number).padStart(6, "0")}.ldb`);
  } catch {
    return null;
  }
}

function recordsOf(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  let pieces: Buffer[] = [];
  for (let at = 0; at + HEADER_LENGTH <= bytes.length;) {
    const leftInBlock = BLOCK_LENGTH - (at % BLOCK_LENGTH);
    if (leftInBlock < HEADER_LENGTH) {
      at += leftInBlock;
      continue;
    }
    const length = bytes.readUInt16LE(at + 4);
    const type = bytes.readUInt8(at + 6);
    const piece = bytes.subarray(at + HEADER_LENGTH, at + HEADER_LENGTH + length);
    at += HEADER_LENGTH + length;
    pieces = type === PIECE.whole || type === PIECE.first ? [piece] : [...pieces, piece];
    if (type === PIECE.whole || type === PIECE.last) records.push(Buffer.concat(pieces));
  }
  return records;
}

/** Fields of an edit by their tags. */
const TAG = { comparator: 1, compactPointer: 5, deletedFile: 6, newFile: 7 } as const;

function apply(edit: Buffer, live: Set<number>): void {
  const reader = new Reader(edit);
  while (!reader.ended) {
    const tag = reader.varint();
    if (tag === TAG.comparator) reader.text();
    else if (tag === TAG.compactPointer) void [reader.varint(), reader.text()];
    else if (tag === TAG.deletedFile) live.delete([reader.varint(), reader.varint()][1] as number);
    else if (tag === TAG.newFile) {
      live.add([reader.varint(), reader.varint()][1] as number);
      void [reader.varint(), reader.text(), reader.text()];
    } else reader.varint();
  }
}
