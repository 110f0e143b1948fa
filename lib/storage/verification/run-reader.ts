import type { Database, KeyRange, RowForm } from "../level/database.ts";

type Rows = ReturnType<Database["iterator"]>;

/** How a run is read: `batch` rows at once; `letOthersIn` is awaited after each of them. */
export type ReadingRun = { batch: number; letOthersIn?: () => Promise<void> };

/**
 * Reads runs of rows, one after the other, with one iterator for all of them: what LevelDB keeps for an iterator, some
 * hundred KiB, is freed when V8 next collects everything, and a large book has thousands of blocks.
 */
export class RunReader<V, K = Buffer> {
  readonly #database: Pick<Database, "iterator">;
  readonly #range: KeyRange & RowForm;
  #rows: Rows | null = null;

  /** @param range - has all runs. `V` and `K` are what its encodings make of value and key; without keys a row has none. */
  constructor(database: Pick<Database, "iterator">, range: KeyRange & RowForm) {
    this.#database = database;
    this.#range = range;
  }

  /**
   * At most `count` rows from a key on, in batches of which each is read on another thread while the one before it is
   * looked at. The run before has to have ended.
   */
  async *read(first: Buffer, count: number, o: ReadingRun): AsyncGenerator<[K, V][], void, undefined> {
    const rows = (this.#rows ??= this.#database.iterator(this.#range));
    rows.seek(first);
    let left = count;
    const next = () => {
      const reading = rows.nextv(Math.min(o.batch, left));
      // What fails while nobody waits for it is thrown where it is waited for.
      reading.catch(() => undefined);
      return reading;
    };
    let ahead: Promise<[Buffer, unknown][]> | null = next();
    try {
      while (ahead !== null) {
        const batch: [Buffer, unknown][] = await ahead;
        left -= batch.length;
        ahead = batch.length === 0 || left === 0 ? null : next();
        if (batch.length > 0) yield batch as [unknown, unknown][] as [K, V][];
        if (o.letOthersIn !== undefined) await o.letOthersIn();
      }
    } finally {
      // An iterator that is still reading takes no other run.
      await ahead?.catch(() => undefined);
    }
  }

  /** Lets the iterator go; the next run begins with another one. After a fault it has to: it would tell of it for ever. */
  async close(): Promise<void> {
    const rows = this.#rows;
    this.#rows = null;
    await rows?.close();
  }
}
