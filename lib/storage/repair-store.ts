import { Level } from "level";

/*
 * Run in a process of its own by repaired-copy.ts: repairs a copy of a store and merges its tables, so that whoever
 * opens it next does not have to.
 */

const folder = process.argv[2];
if (folder === undefined) throw new Error("expected a folder");
// In Node `Level` is classic-level's class; its types promise what a browser has too.
await (Level as unknown as { repair(folder: string): Promise<void> }).repair(folder);
const level = new Level<Buffer, Buffer>(folder, { keyEncoding: "buffer", valueEncoding: "buffer" }) as Level<
  Buffer,
  Buffer
> & { compactRange(start: Buffer, end: Buffer): Promise<void> };
await level.open();
await level.compactRange(Buffer.alloc(1), Buffer.alloc(1, 0xff));
await level.close();
