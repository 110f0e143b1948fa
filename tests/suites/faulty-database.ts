import type { Database, KeyRange, Operation, View } from "../../lib/storage/level/database.ts";

/** `not-written`: the batch fails before anything is on disk; `written`: it is on disk, and failure is reported. */
export type Fault = "not-written" | "written";

/** A database whose next batches fail as told, and which counts and can hold back its batches. */
export class FaultyDatabase implements Database {
  /** Consumed from the front, one a batch; null lets a batch through. */
  readonly faults: (Fault | null)[] = [];
  /** Operations of each batch that was tried. */
  readonly batches: Operation[][] = [];
  openFails = false;
  reopened = 0;
  readonly #inner: Database;
  #gate: Promise<void> = Promise.resolve();

  constructor(inner: Database) {
    this.#inner = inner;
  }

  /** Holds batches back until the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  async batch(operations: Operation[], options: { sync: true }): Promise<void> {
    this.batches.push(operations);
    const fault = this.faults.shift() ?? null;
    await this.#gate;
    if (fault === "not-written") throw new Error("no space left on device");
    await this.#inner.batch(operations, options);
    if (fault === "written") throw new Error("input/output error");
  }

  async open(): Promise<void> {
    if (this.openFails) throw new Error("no space left on device");
    this.reopened += 1;
    await this.#inner.open();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#inner.get(key);
  }

  async rewrite(): Promise<void> {
    await this.#inner.rewrite?.();
  }

  getSync(key: Buffer, options?: { snapshot?: View }): Buffer | undefined {
    return this.#inner.getSync(key, options);
  }

  snapshot(): View {
    return this.#inner.snapshot();
  }

  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#inner.getMany(keys);
  }

  iterator(range: KeyRange & { snapshot?: View }): ReturnType<Database["iterator"]> {
    return this.#inner.iterator(range);
  }
}

/** A database whose batches take as long as synced writes on a plain disk. */
export class SlowDatabase extends FaultyDatabase {
  readonly #writeMs: number;

  constructor(inner: Database, writeMs: number) {
    super(inner);
    this.#writeMs = writeMs;
  }

  override async batch(operations: Operation[], options: { sync: true }): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#writeMs));
    await super.batch(operations, options);
  }
}
