import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { formatHeadNote } from "../../lib/ledger/head-note.ts";
import { NO_PREVIOUS, sealRecord } from "../../lib/ledger/record.ts";
import { appendLeaf, EMPTY_RANGE, rootOf } from "../../lib/ledger/tree.ts";
import type { AppendInput } from "../../lib/storage/book/book.ts";
import { encodeHead } from "../../lib/storage/book/head-state.ts";
import { FORMAT_KEY, HEAD_KEY, keys, seqText, STORE_FORMAT } from "../../lib/storage/keys.ts";
import { GrowingTiles } from "./tiles.ts";

/** Rows of one batch. */
const BATCH = 4000;

/**
 * Writes a whole book into a folder, `store/` and `head.note`, much faster than a book is appended to: nothing is synced
 * before the end.
 */
export async function writeLargeBook(
  folder: string,
  o: { size: number; origin: string; inputOf: (n: number) => AppendInput; idOf: (n: number) => string },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const disk = new Level<Buffer, Buffer>(join(folder, "store"), { keyEncoding: "buffer", valueEncoding: "buffer" });
  await disk.open();
  let rows: { type: "put"; key: Buffer; value: Buffer }[] = [];
  const put = (key: Buffer, value: Buffer) => rows.push({ type: "put", key, value });
  put(FORMAT_KEY, Buffer.from(String(STORE_FORMAT)));
  const tiles = new GrowingTiles();
  let [range, tip] = [EMPTY_RANGE, null as Buffer | null];
  for (let seq = 0; seq < o.size; seq += 1) {
    const sealed = sealRecord({ ...o.inputOf(seq), seq, prev: tip?.toString("hex") ?? NO_PREVIOUS });
    const grown = appendLeaf(range, sealed.leaf);
    put(keys.record(seq), sealed.bytes);
    put(keys.id(o.idOf(seq)), seqText(seq));
    tiles.add(grown.completed);
    [range, tip] = [grown.range, sealed.leaf];
    if (rows.length >= BATCH) await disk.batch(rows.splice(0));
  }
  for (const { key, value } of tiles.rows()) put(key, value);
  put(HEAD_KEY, encodeHead({ range, tip }));
  await disk.batch(rows, { sync: true });
  rows = [];
  await disk.close();
  const note = formatHeadNote({ origin: o.origin, size: range.size, root: rootOf(range) });
  await writeFile(join(folder, "head.note"), note.padEnd(512, "\n"));
}
