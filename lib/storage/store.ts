import { setImmediate as nextTurn } from "node:timers/promises";
import { RastroError } from "../contracts/errors.ts";
import { type Database, type KeyRange, openLevel, openMemory, type Operation } from "./database.ts";
import { Group, type Tx } from "./group.ts";
import { FORMAT_KEY, STORE_FORMAT } from "./keys.ts";
import { StoreSnapshot } from "./snapshot.ts";

export type { KeyRange } from "./database.ts";
export { type Cell, cellAt, type Tx } from "./group.ts";

/**
 * A group is closed when it has this many stages: enough that a disk of 10 ms a sync takes ten thousand a second, few
 * enough that the answers to one group and the requests of the next overlap.
 */
const GROUP_STAGES = 256;
/** … or this many bytes of keys and values. */
const GROUP_BYTES = 4 * 1024 * 1024;
/** How long a write that may wait does so at most, ms. */
const PATIENT_MS = 25;
/** Rows that a range reads ahead. */
const READ_AHEAD = 128;

type Waiting = { run: (group: Group) => void; settle: (failure: Error | null) => void };

/**
 * Keys and values on disk, written in groups: what is staged while a batch is being written goes into the next one,
 * and each batch is synced once for all of its stages.
 */
export class Store {
  readonly #database: Database;
  readonly #place: string;
  readonly #waiting: Waiting[] = [];
  readonly #rewritings: Pick<Waiting, "settle">[] = [];
  readonly #hooks: (() => Promise<void>)[] = [];
  readonly #lent = new Set<() => Promise<void>>();
  #writing: Promise<void> | null = null;
  #patience: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #written = { batches: 0, stages: 0, ms: 0, failures: 0 };
  #suspect = false;
  #rewriting: Promise<unknown> | null = null;

  private constructor(database: Database, place: string) {
    this.#database = database;
    this.#place = place;
  }

  /**
   * @param o.threads - worker threads may read along, for a store that only this process's own code opens: a second
   *   opening by the same process is then not refused.
   * @throws RastroError `store_locked`, `store_unusable` or `store_newer`; the message names the folder and says what
   *   to do.
   */
  static async openFolder(folder: string, o: { threads?: boolean } = {}): Promise<Store> {
    return Store.onDatabase(await openLevel(folder, o), folder);
  }

  /** A store that is gone with the process; keeps every other promise. */
  static async inMemory(): Promise<Store> {
    return Store.onDatabase(await openMemory(), "memory");
  }

  /** A store on an open database; the store closes it. @param place - names it in messages. */
  static async onDatabase(database: Database, place: string): Promise<Store> {
    try {
      await checkFormat(database, place);
    } catch (thrown) {
      await database.close();
      throw thrown;
    }
    return new Store(database, place);
  }

  /**
   * Runs a stage and resolves with what it returned once everything that it wrote is on disk.
   *
   * Stages are synchronous and run one after the other in the order of the calls; each sees what earlier ones wrote.
   * A stage that throws loses its own writes and rejects with what it threw; others go on.
   *
   * @throws RastroError `store_unusable` when the batch or a hook after it failed, for all stages of the group. They
   *   are then on disk together or not at all, which is not known to the caller: write again in a way that looks first.
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
    if (this.#writing === null) this.#patience ??= setTimeout(() => this.#begin(), PATIENT_MS);
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
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#rewritings.push({ settle: (failure) => (failure === null ? resolve() : reject(failure)) });
    this.#begin();
    return promise;
  }

  #take<T>(stage: (tx: Tx) => T): Promise<T> {
    if (this.#closed) return Promise.reject(this.#unusable("it is closed"));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let result: T;
    this.#waiting.push({
      run: (group) => void (result = group.run(stage)),
      settle: (failure) => (failure === null ? resolve(result) : reject(failure)),
    });
    return promise;
  }

  #begin(): void {
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#patience = null;
    // One turn later, so that calls of the same turn share the first group.
    this.#writing ??= Promise.resolve().then(() => this.#writeGroups());
  }

  /** Since it was opened: batches on disk, the stages in them, the time that they took in ms, and batches that failed. */
  get written(): Readonly<{ batches: number; stages: number; ms: number; failures: number }> {
    return this.#written;
  }

  /** Adds what has to happen after each batch and before its writes resolve. If it rejects, they reject. */
  afterCommit(hook: () => Promise<void>): void {
    this.#hooks.push(hook);
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
  ): Promise<{ database: Pick<Database, "iterator" | "shared">; giveBack(): void }> {
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
    await this.#writing;
    await this.#takeBack();
    await this.#database.close();
  }

  async #writeGroups(): Promise<void> {
    while (this.#waiting.length > 0 || this.#rewritings.length > 0) {
      if (this.#rewritings.length === 0) await this.#writeGroup();
      else settleAll(this.#rewritings.splice(0), await this.#rewriteFiles());
      // What was written is told first: the next group may take as long as many answers.
      if (this.#waiting.length > 0) await nextTurn();
    }
    this.#writing = null;
  }

  async #writeGroup(): Promise<void> {
    if (this.#suspect) {
      const failure = await this.#reopen();
      if (failure !== null) return settleAll(this.#waiting.splice(0), failure);
    }
    const members: Waiting[] = [];
    const group = this.#runStages(members);
    this.#written.stages += members.length;
    settleAll(members, await this.#commit(group));
  }

  #runStages(members: Waiting[]): Group {
    const group = new Group(this.#database);
    let taken = 0;
    while (members.length < GROUP_STAGES && group.bytes < GROUP_BYTES) {
      const next = this.#waiting[taken];
      if (next === undefined) break;
      taken += 1;
      try {
        next.run(group);
        members.push(next);
      } catch (thrown) {
        next.settle(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    }
    this.#waiting.splice(0, taken);
    return group;
  }

  /** @returns the failure of the whole group, if any. */
  async #commit(group: Group): Promise<RastroError | null> {
    const operations = group.operations();
    let failure: RastroError | null = null;
    if (operations.length > 0) {
      failure = await this.#writeBatch(operations);
      if (failure !== null) return failure;
      failure = await this.#runHooks();
    }
    // Also when a hook failed: the batch is on disk, and whoever acts on what it holds must hear of it.
    for (const effect of group.effects) effect();
    return failure;
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

  async #runHooks(): Promise<RastroError | null> {
    try {
      for (const hook of this.#hooks) await hook();
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
      this.#rewriting = this.#database.rewrite?.() ?? null;
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

  #unusable(what: string, cause?: unknown): RastroError {
    const detail = cause instanceof Error ? ` (${cause.message})` : "";
    const message = `Using the store in ${this.#place} failed: ${what}${detail}. Check that the disk is not full and the folder can be written.`;
    return new RastroError({ code: "store_unusable", message, given: this.#place }, { cause });
  }
}

function settleAll(members: readonly Pick<Waiting, "settle">[], failure: Error | null): void {
  for (const member of members) member.settle(failure);
}

async function checkFormat(database: Database, place: string): Promise<void> {
  const stored = database.getSync(FORMAT_KEY)?.toString();
  if (stored === undefined) {
    await database.batch([{ type: "put", key: FORMAT_KEY, value: Buffer.from(String(STORE_FORMAT)) }], { sync: true });
  } else if (stored !== String(STORE_FORMAT)) {
    const message = `Opening the store in ${place} failed: its format is ${stored}, expected ${STORE_FORMAT}. Use the version of Rastro that wrote it, or a newer one.`;
    throw new RastroError({ code: "store_newer", message, given: stored, expected: String(STORE_FORMAT) });
  }
}
