import { setImmediate as nextTurn } from "node:timers/promises";
import { RastroError } from "../../contracts/errors.ts";
import { type Database, type KeyRange, openLevel, openMemory, type Operation } from "../level/database.ts";
import type { Group, Tx } from "./group.ts";
import { type Commit, GroupWriter } from "./group-writer.ts";
import { StoreSnapshot } from "../level/snapshot.ts";
import { bringUpToDate } from "../migration/migrate.ts";
import type { OlderStore } from "../migration/migration.ts";

export type { KeyRange } from "../level/database.ts";
export { type Cell, cellAt, type Codec, type Tx } from "./group.ts";

/** How long a write that may wait does so at most, ms. */
const PATIENT_MS = 25;
/** Rows that a range reads ahead. */
const READ_AHEAD = 128;

/**
 * Called while a batch is on its way to the disk, with what the store will then have. What it returns is run once the
 * batch is there and before its writes resolve; if that rejects, or the call throws, they reject.
 */
export type BatchCompanion = (written: Pick<Tx, "read">) => () => Promise<void>;

/** Keys and values on disk, written in groups: each batch is synced once for all of its stages. */
export class Store {
  readonly #database: Database;
  readonly #place: string;
  readonly #lent = new Set<() => Promise<void>>();
  readonly #writer: GroupWriter;
  readonly #companions: BatchCompanion[] = [];
  #patience: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #written = { batches: 0, stages: 0, ms: 0, failures: 0 };
  #suspect = false;
  #readOnly = false;
  /** One that has not begun: whoever asks meanwhile is served by it. */
  #rewriteAsked: Promise<void> | null = null;
  #rewriting: Promise<unknown> | null = null;

  private constructor(database: Database, place: string, ahead: boolean) {
    this.#database = database;
    this.#place = place;
    this.#writer = new GroupWriter({
      database,
      ahead,
      ready: async () => (this.#suspect ? this.#reopen() : null),
      commit: (group, stages) => this.#commit(group, stages),
    });
  }

  /**
   * @param o.ahead - stages run while the batch before them is written: for stages that read nothing but their
   *   transaction and what no write changes when it resolves.
   * @param o.readOnly - refuses all writes, with `book_damaged`: for a copy of a damaged store.
   * @param o.threads - worker threads may read along, for a store that only this process's own code opens: a second
   *   opening by the same process is then not refused.
   * @param o.migration - how a book in a store of an older format is brought to the one of now; as {@link bringUpToDate}.
   * @throws RastroError `store_locked`, `store_unusable` or `store_newer`; the message names the folder and says what
   *   to do.
   */
  static async openFolder(
    folder: string,
    o: { ahead?: boolean; threads?: boolean; readOnly?: boolean; migration?: OlderStore } = {},
  ): Promise<Store> {
    const store = await Store.onDatabase(await openLevel(folder, o), folder, o);
    store.#readOnly = o.readOnly === true;
    return store;
  }

  /** A store that is gone with the process; keeps every other promise. */
  static async inMemory(): Promise<Store> {
    return Store.onDatabase(await openMemory(), "memory");
  }

  /** A store on an open database; the store closes it. @param place - names it in messages. */
  static async onDatabase(
    database: Database,
    place: string,
    o: { ahead?: boolean; migration?: OlderStore } = {},
  ): Promise<Store> {
    try {
      await bringUpToDate(database, place, o);
    } catch (thrown) {
      await database.close();
      throw thrown;
    }
    return new Store(database, place, o.ahead === true);
  }

  /**
   * Runs a stage and resolves with what it returned once everything that it wrote is on disk.
   *
   * Stages are synchronous and run one after the other in the order of the calls; each sees what earlier ones wrote,
   * on disk or on its way. A stage that throws loses its own writes and rejects with what it threw; others go on.
   *
   * @throws RastroError `store_unusable` when the batch or what belongs to it failed, for all stages of the group and
   *   those that ran on top of it. Those of one group are on disk together or not at all, which is not known to the
   *   caller: write again in a way that looks first.
   */
  write<T>(stage: (tx: Tx) => T): Promise<T> {
    const written = this.#take(stage);
    this.#begin();
    return written;
  }

  /**
   * As {@link Store.write}, for what nobody waits for: it goes with the next batch that is written anyway, or after
   * 25 ms, and so costs no synced write of its own while others are made.
   */
  writePatiently<T>(stage: (tx: Tx) => T): Promise<T> {
    const written = this.#take(stage);
    if (!this.#writer.isWriting) this.#patience ??= setTimeout(() => this.#begin(), PATIENT_MS);
    return written;
  }

  /**
   * Leaves nothing in the store's files of what was deleted or replaced before. Writes wait meanwhile, and so do reads
   * but for those that are answered at once, which fail for the moment in which the database is opened anew.
   *
   * @throws RastroError `store_unusable`; the store is then as it was, or opened anew before the next write.
   */
  rewrite(): Promise<void> {
    if (this.#closed) return Promise.reject(this.#unusable("it is closed"));
    this.#rewriteAsked ??= new Promise((resolve, reject) => {
      this.#writer.between(async () => {
        this.#rewriteAsked = null;
        const failure = await this.#rewriteFiles();
        if (failure === null) resolve();
        else reject(failure);
      });
      this.#begin();
    });
    return this.#rewriteAsked;
  }

  #take<T>(stage: (tx: Tx) => T): Promise<T> {
    if (this.#closed) return Promise.reject(this.#unusable("it is closed"));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let result: T;
    this.#writer.add({
      run: (group) => void (result = group.run(stage)),
      settle: (failure) => (failure === null ? resolve(result) : reject(failure)),
    });
    return promise;
  }

  #begin(): void {
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#patience = null;
    void this.#writer.write();
  }

  /** Since it was opened: batches on disk, the stages in them, the time that they took in ms, and batches that failed. */
  get written(): Readonly<{ batches: number; stages: number; ms: number; failures: number }> {
    return this.#written;
  }

  /** Adds what has to happen with each batch, before its writes resolve. */
  withEachBatch(companion: BatchCompanion): void {
    this.#companions.push(companion);
  }

  /** What is on disk, not what waits to be. */
  async get(key: Buffer): Promise<Buffer | undefined> {
    return this.#reading(() => this.#database.get(key));
  }

  /** As {@link Store.get} for many keys, read on another thread in one go. */
  async getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#reading(() => this.#database.getMany(keys));
  }

  /** As {@link Store.get}, at once; for keys that are likely in memory. */
  getNow(key: Buffer): Buffer | undefined {
    try {
      return this.#database.getSync(key);
    } catch (cause) {
      throw this.#unusable("a value could not be read", cause);
    }
  }

  /** Rows in the order of their keys (`reverse`: the other way round), as they were when the reading began. */
  async *range(range: KeyRange): AsyncGenerator<[Buffer, Buffer], void, undefined> {
    await this.#rewriting?.catch(() => undefined);
    const iterator = this.#database.iterator(range);
    try {
      for (;;) {
        const rows = await this.#reading(() => iterator.nextv(READ_AHEAD));
        if (rows.length === 0) return;
        yield* rows;
      }
    } finally {
      await iterator.close();
    }
  }

  /** What is on disk now, to be read at leisure while other things are written. */
  snapshot(): StoreSnapshot {
    return new StoreSnapshot(this.#database);
  }

  /**
   * Lends the database to somebody who reads much of it, perhaps on other threads. `stop` is awaited before the database
   * is closed, or opened anew after a failed batch: nothing may read from it then.
   */
  async lend(
    stop: () => Promise<void>,
  ): Promise<{ database: Pick<Database, "iterator" | "shared" | "folder">; giveBack(): void }> {
    await this.#rewriting?.catch(() => undefined);
    this.#lent.add(stop);
    return { database: this.#database, giveBack: () => void this.#lent.delete(stop) };
  }

  async #takeBack(): Promise<void> {
    // Those who come meanwhile are met by the same loop.
    for (const stop of this.#lent) {
      this.#lent.delete(stop);
      await stop();
    }
  }

  /** Takes no more writes, waits for those that it has taken, and closes the database. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#begin();
    await this.#writer.finish();
    await this.#takeBack();
    await this.#database.close();
  }

  #commit(group: Group, stages: number): Commit {
    this.#written.stages += stages;
    let operations: Operation[];
    try {
      operations = group.operations();
    } catch (cause) {
      const failed = Promise.resolve(this.#unusable("what was staged has no form on disk", cause));
      return { written: failed, ended: failed };
    }
    const isWriting = operations.length > 0 && !this.#readOnly;
    const written = isWriting ? this.#writeBatch(operations) : this.#writeNothing(operations);
    const afterwards = isWriting ? this.#companions.map((companion) => attempt(() => companion(group))) : [];
    return { written, ended: this.#end(group, written, afterwards) };
  }

  async #end(
    group: Group,
    written: Promise<RastroError | null>,
    afterwards: readonly (() => Promise<void>)[],
  ): Promise<RastroError | null> {
    const notWritten = await written;
    if (notWritten !== null) return notWritten;
    const failure = await this.#finish(afterwards);
    // Also when something after it failed: the batch is on disk, and whoever acts on what it holds must hear of it.
    for (const effect of group.effects) effect();
    return failure;
  }

  async #writeNothing(operations: readonly Operation[]): Promise<RastroError | null> {
    // Where no disk is waited for, other work has to be let in all the same.
    await nextTurn();
    return operations.length > 0 ? this.#refusal() : null;
  }

  async #writeBatch(operations: Operation[]): Promise<RastroError | null> {
    const began = performance.now();
    try {
      await this.#database.batch(operations, { sync: true });
      this.#written.batches += 1;
      this.#written.ms += performance.now() - began;
      return null;
    } catch (cause) {
      this.#written.failures += 1;
      this.#suspect = true;
      return this.#unusable("a batch could not be written", cause);
    }
  }

  async #finish(afterwards: readonly (() => Promise<void>)[]): Promise<RastroError | null> {
    try {
      for (const step of afterwards) await step();
      return null;
    } catch (cause) {
      return this.#unusable("what belongs to a batch could not be written", cause);
    }
  }

  /**
   * After a failed batch LevelDB's log may end in half a record: it would either refuse all further writes or append
   * behind the half, where a recovery drops what follows. Opening anew reads the log to its last whole batch and
   * begins another one.
   */
  async #reopen(): Promise<RastroError | null> {
    try {
      await this.#takeBack();
      this.#rewriting = this.#database.close().then(() => this.#database.open());
      await this.#rewriting;
      this.#suspect = false;
      return null;
    } catch (cause) {
      return this.#unusable("it could not be opened again after a failed batch", cause);
    } finally {
      this.#rewriting = null;
    }
  }

  async #rewriteFiles(): Promise<RastroError | null> {
    try {
      await this.#takeBack();
      this.#rewriting = this.#takeBack().then(() => this.#database.rewrite?.());
      await this.#rewriting;
      return null;
    } catch (cause) {
      this.#suspect = true;
      return this.#unusable("its files could not be rewritten", cause);
    } finally {
      this.#rewriting = null;
    }
  }

  async #reading<T>(read: () => Promise<T>): Promise<T> {
    // What becomes of it is told to whoever asked for it.
    await this.#rewriting?.catch(() => undefined);
    try {
      return await read();
    } catch (cause) {
      throw this.#unusable("a value could not be read", cause);
    }
  }

  #refusal(): RastroError {
    const message = `Writing to the store in ${this.#place} failed: it is a repaired copy of a damaged one, and only read. Restore a verified backup.`;
    return new RastroError({ code: "book_damaged", message, given: this.#place });
  }

  #unusable(what: string, cause?: unknown): RastroError {
    const detail = cause instanceof Error ? ` (${cause.message})` : "";
    const message = `Using the store in ${this.#place} failed: ${what}${detail}. Check that the disk is not full and the folder can be written.`;
    return new RastroError({ code: "store_unusable", message, given: this.#place }, { cause });
  }
}

/** What was thrown is thrown by the step that was to be returned. */
function attempt(begin: () => () => Promise<void>): () => Promise<void> {
  try {
    return begin();
  } catch (thrown) {
    return () => Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}
