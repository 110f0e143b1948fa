import {
  type Database,
  type KeyRange,
  openMemory,
  type Operation,
  type View,
} from "../../lib/storage/level/database.ts";

/**
 * A database on a disk whose power can go: what was not written with `sync`, or not yet synced when the power goes, is
 * gone, whatever could be read of it before.
 */
export class PowerDatabase implements Database {
  readonly #seen: Database;
  readonly #onDisk: Database;
  readonly #syncMs: number;
  #off = false;

  private constructor(seen: Database, onDisk: Database, syncMs: number) {
    this.#seen = seen;
    this.#onDisk = onDisk;
    this.#syncMs = syncMs;
  }

  static async open(syncMs: number): Promise<PowerDatabase> {
    return new PowerDatabase(await openMemory(), await openMemory(), syncMs);
  }

  /** The power goes. @returns what is on the disk. */
  cut(): Database {
    this.#off = true;
    return this.#onDisk;
  }

  async batch(operations: Operation[], options: { sync?: boolean }): Promise<void> {
    await this.#seen.batch(operations, { sync: true });
    if (options.sync !== true) return;
    await new Promise((resolve) => setTimeout(resolve, this.#syncMs));
    if (this.#off) await new Promise(() => undefined);
    await this.#onDisk.batch(operations, { sync: true });
    if (this.#off) await new Promise(() => undefined);
  }

  open(): Promise<void> {
    return this.#seen.open();
  }

  close(): Promise<void> {
    return this.#seen.close();
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#seen.get(key);
  }

  async rewrite(): Promise<void> {
    await this.#seen.rewrite?.();
  }

  getSync(key: Buffer, options?: { snapshot?: View }): Buffer | undefined {
    return this.#seen.getSync(key, options);
  }

  snapshot(): View {
    return this.#seen.snapshot();
  }

  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#seen.getMany(keys);
  }

  iterator(range: KeyRange & { snapshot?: View }): ReturnType<Database["iterator"]> {
    return this.#seen.iterator(range);
  }
}
