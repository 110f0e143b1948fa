import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { readTable, type TableRow } from "../level/table.ts";

/*
 * Run in a process of its own by repaired-copy.ts: repairs a copy of a store and merges its tables, so that whoever
 * opens it next does not have to. Damaged tables are kept from LevelDB, which would take their wrong bytes for rows or
 * end the process; what is sound in them is put back row by row.
 */

const folder = process.argv[2];
if (folder === undefined) throw new Error("expected a folder");
const rows = await takeOutDamagedTables(folder);
// In Node `Level` is classic-level's class; its types promise what a browser has too.
await (Level as unknown as { repair(folder: string): Promise<void> }).repair(folder);
const level = new Level<Buffer, Buffer>(folder, { keyEncoding: "buffer", valueEncoding: "buffer" }) as Level<
  Buffer,
  Buffer
> & { compactRange(start: Buffer, end: Buffer): Promise<void> };
await level.open();
await putBack(rows);
await level.compactRange(Buffer.alloc(1), Buffer.alloc(1, 0xff));
await level.close();

/** The newest table first: of a key that is in several, that row counts. */
async function takeOutDamagedTables(path: string): Promise<TableRow[]> {
  const names = (await readdir(path)).filter((name) => name.endsWith(".ldb")).toSorted();
  const taken: TableRow[] = [];
  for (const name of names.toReversed()) {
    const { damaged, rows: sound } = readTable(await readFile(join(path, name)));
    if (!damaged) continue;
    for (const row of sound) taken.push(row);
    await rm(join(path, name));
  }
  return taken;
}

async function putBack(taken: TableRow[]): Promise<void> {
  for (const { key, value } of taken) {
    if (value !== null && (await level.get(key)) === undefined) await level.put(key, value);
  }
}
