import type { Database, Operation } from "./database.ts";

/** What a stage reads and writes. All of it or nothing of it reaches the disk, together with the group it is in. */
export interface Tx {
  /** Sees the stage's own writes and those of earlier stages, on disk or not. */
  get(key: Buffer): Buffer | undefined;
  put(key: Buffer, value: Buffer): void;
  del(key: Buffer): void;
  /**
   * Runs once the stage is on disk, before its `write` resolves (or rejects, where only what belongs to the batch could
   * not be written); never if it is dropped. Must not throw.
   */
  onCommit(effect: () => void): void;
}

/**
 * The writes of the stages that will share one batch. Each stage writes into an overlay of its own; only what
 * returns normally is merged.
 */
export class Group {
  readonly #database: Database;
  readonly #writes = new Map<string, Operation>();
  readonly effects: (() => void)[] = [];
  bytes = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @throws what the stage throws, without a trace of it left in the group. */
  run<T>(stage: (tx: Tx) => T): T {
    const overlay = new StageOverlay((id, key) => this.#read(id, key));
    let result: T;
    try {
      result = stage(overlay);
      if (isThenable(result))
        throw new TypeError("Writing failed: a stage returned a promise, expected it to be synchronous.");
    } finally {
      overlay.end();
    }
    this.#merge(overlay);
    return result;
  }

  operations(): Operation[] {
    return [...this.#writes.values()];
  }

  #read(id: string, key: Buffer): Buffer | undefined {
    const written = this.#writes.get(id);
    if (written === undefined) return this.#database.getSync(key);
    return written.type === "put" ? written.value : undefined;
  }

  #merge(overlay: StageOverlay): void {
    for (const [id, operation] of overlay.writes) {
      this.#writes.set(id, operation);
      this.bytes += operation.key.length + (operation.type === "put" ? operation.value.length : 0);
    }
    this.effects.push(...overlay.effects);
  }
}

class StageOverlay implements Tx {
  readonly writes = new Map<string, Operation>();
  readonly effects: (() => void)[] = [];
  readonly #below: (id: string, key: Buffer) => Buffer | undefined;
  #ended = false;

  constructor(below: (id: string, key: Buffer) => Buffer | undefined) {
    this.#below = below;
  }

  get(key: Buffer): Buffer | undefined {
    this.#assertRunning();
    const id = key.toString("latin1");
    const written = this.writes.get(id);
    if (written === undefined) return this.#below(id, key);
    return written.type === "put" ? written.value : undefined;
  }

  put(key: Buffer, value: Buffer): void {
    this.#assertRunning();
    this.writes.set(key.toString("latin1"), { type: "put", key, value });
  }

  del(key: Buffer): void {
    this.#assertRunning();
    this.writes.set(key.toString("latin1"), { type: "del", key });
  }

  onCommit(effect: () => void): void {
    this.#assertRunning();
    this.effects.push(effect);
  }

  end(): void {
    this.#ended = true;
  }

  #assertRunning(): void {
    if (this.#ended) throw new TypeError("Writing failed: a stage used its transaction after it had returned.");
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
