import { randomInt } from "node:crypto";
import { join } from "node:path";
import { leafHash } from "../../../lib/ledger/hash.ts";
import { openLevel } from "../../../lib/storage/level/database.ts";
import { RECORDS } from "../../../lib/storage/keys.ts";
import { quantile } from "./callers.ts";
import { checkExport, exportAll } from "./export-jobs.ts";
import { openBook } from "./large-book.ts";
import { watchPrivateMemory } from "./private-memory.ts";

/*
 * One piece of work on a book that is there already, in a process of its own: so that it can be held to a core, and its
 * memory is nobody else's. The order comes as arguments, the answer is one line of JSON.
 */

/** What the floor reads in one go. */
const ROWS_AT_ONCE = 1000;
const BYTES_AT_ONCE = 1024 * 1024;

export type Job = "verify" | "rehash" | "prove" | "export" | "check";
/**
 * `perSecond` counts records or proofs; `peakMiB` is the most memory that the process ever had to itself,
 * `residentMiB` the same with the files of the store that are mapped.
 */
export type Answer = { perSecond: number; p50Ms: number; p99Ms: number; peakMiB: number; residentMiB: number };

const [job, folder, threads, count] = process.argv.slice(2) as [Job, string, string, string];
const JOBS: Record<Job, () => Promise<Omit<Answer, "peakMiB" | "residentMiB">>> = {
  verify,
  rehash,
  prove,
  export: () => exportAll(folder),
  check: () => checkExport(folder),
};
const peak = watchPrivateMemory();
const figures = await JOBS[job]();
const memory = { peakMiB: peak(), residentMiB: process.resourceUsage().maxRSS / 1024 };
process.stdout.write(`${JSON.stringify({ ...figures, ...memory } satisfies Answer)}\n`);

/** All that a verification looks at but signatures: their keys are nobody's, so each counts as of an unknown key. */
async function verify() {
  const { book, close } = await openBook(folder);
  const begun = performance.now();
  const report = await book.verify({ threads: Number(threads) });
  const ms = performance.now() - begun;
  await close();
  if (!report.ok) throw new Error(`the benchmark's book is not whole: ${JSON.stringify(report.damaged[0])}`);
  return { perSecond: (report.size / ms) * 1000, p50Ms: ms, p99Ms: ms };
}

/** The floor of a verification: every record read and hashed once. */
async function rehash() {
  const database = await openLevel(join(folder, "store"));
  const begun = performance.now();
  const iterator = database.iterator({ ...RECORDS, keys: false, highWaterMarkBytes: BYTES_AT_ONCE });
  let records = 0;
  for (let rows = await iterator.nextv(ROWS_AT_ONCE); rows.length > 0; rows = await iterator.nextv(ROWS_AT_ONCE)) {
    for (const [, bytes] of rows) leafHash(bytes);
    records += rows.length;
  }
  await iterator.close();
  const ms = performance.now() - begun;
  await database.close();
  return { perSecond: (records / ms) * 1000, p50Ms: ms, p99Ms: ms };
}

/** A record with its proof, of so many records anywhere in the book. */
async function prove() {
  const { book, close } = await openBook(folder);
  const { size } = book.head();
  const took: number[] = [];
  for (let n = 0; n < Number(count); n += 1) {
    const begun = performance.now();
    book.prove(randomInt(size));
    took.push(performance.now() - begun);
  }
  await close();
  const ms = took.reduce((sum, one) => sum + one, 0);
  took.sort((a, b) => a - b);
  return { perSecond: (took.length / ms) * 1000, p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
}
