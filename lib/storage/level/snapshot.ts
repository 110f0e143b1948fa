import type { Database } from "./database.ts";

/** Rows that are read ahead. */
const READ_AHEAD = 256;

/** Every key of ours begins with a letter. */
const EVERYTHING = { gte: Buffer.from([0x00]), lt: Buffer.from([0xff]) };

/** A store as it was at one moment, whatever is written since. To be closed: LevelDB keeps what it shows. */
export class StoreSnapshot {
  readonly #database: Database;
  readonly #view: ReturnType<Database["snapshot"]>;

  constructor(database: Database) {
    this.#database = database;
    this.#view = database.snapshot();
  }

  get(key: Buffer): Buffer | undefined {
    return this.#database.getSync(key, { snapshot: this.#view });
  }

  /** All rows in the order of their keys, or those of a range. */
  async *rows(
    range: { gte: Buffer; lt: Buffer; reverse?: boolean; limit?: number } = EVERYTHING,
  ): AsyncGenerator<[Buffer, Buffer], void, undefined> {
    const iterator = this.#database.iterator({ ...range, snapshot: this.#view });
    try {
      for (;;) {
        const rows = await iterator.nextv(READ_AHEAD);
        if (rows.length === 0) return;
        yield* rows;
      }
    } finally {
      await iterator.close();
    }
  }

  async close(): Promise<void> {
    await this.#view.close();
  }
}
