import type { Database, KeyRange, Operation } from "../level/database.ts";
import { writeU64 } from "../keys.ts";

/** Rows that are read at once. */
const READ_TOGETHER = 1024;
/** Operations and bytes of a batch at most, so that what waits in memory stays small. */
const BATCH_OPERATIONS = 4096;
const BATCH_BYTES = 1024 * 1024;

/** The tree lies under `n`; what will be, until it is whole, under `t`. */
const PLACED = 0x6e;
const STAGED = 0x74;

export const PLACED_ROWS: KeyRange = rangeOf(PLACED, PLACED + 1);
export const STAGED_ROWS: KeyRange = rangeOf(STAGED, STAGED + 1);

/** `n` ‖ u8 level ‖ u64 index. */
export function placedKey(level: number, index: number): Buffer {
  return treeKey(PLACED, level, index);
}

/** As {@link placedKey}, for a row that waits for its place. */
export function stagedKey(level: number, index: number): Buffer {
  return treeKey(STAGED, level, index);
}

/** The place for which a row waits under this key. */
export function placeOf(staged: Buffer): Buffer {
  return Buffer.concat([Buffer.of(PLACED), staged.subarray(1)]);
}

/** Rows of one level, from a number on. */
export function levelRows(key: typeof placedKey, level: number, from = 0): KeyRange {
  return { gte: key(level, from), lt: key(level + 1, 0) };
}

/** Rows of a range as they were when the reading began. */
export async function* rowsOf(
  database: Pick<Database, "iterator">,
  range: KeyRange,
): AsyncGenerator<[Buffer, Buffer], void, undefined> {
  const iterator = database.iterator(range);
  try {
    for (;;) {
      const rows = await iterator.nextv(READ_TOGETHER);
      if (rows.length === 0) return;
      yield* rows;
    }
  } finally {
    await iterator.close();
  }
}

export async function hasRows(database: Pick<Database, "iterator">, range: KeyRange): Promise<boolean> {
  for await (const _row of rowsOf(database, { ...range, limit: 1 })) return true;
  return false;
}

/**
 * Replaces each row of a range by what `change` makes of it, in synced batches: cut off between two of them, the rest is
 * still there to be changed.
 *
 * @param onBatch - told how many rows are done.
 */
export async function changeRows(
  database: Pick<Database, "iterator" | "batch">,
  range: KeyRange,
  change: (key: Buffer, value: Buffer) => Operation[],
  onBatch: (rows: number) => void = () => undefined,
): Promise<void> {
  let waiting: Operation[] = [];
  let bytes = 0;
  let rows = 0;
  const flush = async () => {
    if (waiting.length > 0) await database.batch(waiting, { sync: true });
    waiting = [];
    bytes = 0;
    onBatch(rows);
  };
  for await (const [key, value] of rowsOf(database, range)) {
    waiting.push(...change(key, value));
    bytes += key.length + value.length;
    rows += 1;
    if (waiting.length >= BATCH_OPERATIONS || bytes >= BATCH_BYTES) await flush();
  }
  await flush();
}

function treeKey(prefix: number, level: number, index: number): Buffer {
  const key = Buffer.allocUnsafe(10);
  key[0] = prefix;
  key[1] = level;
  writeU64(key, index, 2);
  return key;
}

function rangeOf(from: number, to: number): KeyRange {
  return { gte: Buffer.of(from), lt: Buffer.of(to) };
}
