import { parentPort, workerData } from "node:worker_threads";
import { BlockCheck } from "../../ledger/block-check.ts";
import { SignerKeys } from "../../ledger/signature-check.ts";
import { joinLevel } from "../level/database.ts";
import { BLOCK_RECORDS, type BlockSource, checkBlock, openRuns, sumIds } from "./verify-block.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./verify-pool.ts";

/*
 * A thread of a verification: checks the blocks that it is given, on the database that its process has open.
 */

const port = parentPort;
if (port === null) throw new Error("this is for a worker thread");
const { folder, seeds } = workerData as WorkerStart;
/** Rows looked at in one go. Nobody waits for this thread; of more rows more would live through a collection. */
const BATCH = 500;

const database = await joinLevel(folder);
const raw = new Map<string, Uint8Array | null>();
const asked: ((keys: [string, Uint8Array | null][]) => void)[] = [];
const source: BlockSource = {
  database,
  runs: openRuns(database),
  check: new BlockCheck(BLOCK_RECORDS),
  keys: new SignerKeys((name) => raw.get(name) ?? null),
  fetchKeys,
  seeds,
  batch: BATCH,
};

async function fetchKeys(names: string[]): Promise<void> {
  const unknown = [...new Set(names)].filter((name) => !raw.has(name));
  if (unknown.length === 0) return;
  const keys = await new Promise<[string, Uint8Array | null][]>((resolve) => {
    asked.push(resolve);
    tell({ is: "names", names: unknown });
  });
  for (const [name, key] of keys) raw.set(name, key);
}

function tell(message: FromWorker): void {
  port?.postMessage(message);
}

async function work(task: ToWorker): Promise<void> {
  if (task.is === "keys") return asked.shift()?.(task.keys);
  if (task.is === "end") {
    await database.close();
    return port?.close();
  }
  if (task.is === "block") return tell({ is: "block", outcome: await checkBlock(source, task.first, task.count) });
  tell({ is: "ids", sums: await sumIds(source, rangeOf(task), task.size).catch(() => null) });
}

/** Buffers arrive as plain bytes. */
function rangeOf({ gte, lt }: { gte: Uint8Array; lt: Uint8Array }): { gte: Buffer; lt: Buffer } {
  return { gte: Buffer.from(gte), lt: Buffer.from(lt) };
}

port.on("message", (task: ToWorker) => void work(task));
