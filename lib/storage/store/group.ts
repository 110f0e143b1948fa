import type { Database, Operation } from "../level/database.ts";

/** What the bytes of some keys mean. */
export type Codec<T> = {
  /** Must take what `encode` made; undefined for a key without a value. */
  readonly decode: (bytes: Buffer | undefined) => T;
  readonly encode: (value: T) => Buffer;
};

/**
 * One key whose value stages share as what it means: it is decoded when a stage first asks for it and encoded once for
 * the batch, however many stages of the group set it. Made by {@link cellAt}.
 */
export type Cell<T> = {
  readonly key: Buffer;
  /** The key as the group looks it up. */
  readonly id: string;
  readonly codec: Codec<T>;
};

/** @param codec - the same object for each cell that is made of one key: what was decoded by another is not shared. */
export function cellAt<T>(key: Buffer, codec: Codec<T>): Cell<T> {
  return { key, id: idOf(key), codec };
}

/** What a stage reads and writes. All of it or nothing of it reaches the disk, together with the group it is in. */
export interface Tx {
  /** Sees the stage's own writes and those of earlier stages, on disk or not. */
  get(key: Buffer): Buffer | undefined;
  put(key: Buffer, value: Buffer): void;
  del(key: Buffer): void;
  /** What `get` and the cell's codec would give. Others may hold the same value: it must not be changed. */
  read<T>(cell: Cell<T>): T;
  /** As `put` of the encoded value. The value must not be changed afterwards. */
  set<T>(cell: Cell<T>, value: T): void;
  /**
   * Runs once the stage is on disk, before its `write` resolves (or rejects, where only what belongs to the batch could
   * not be written); never if it is dropped. Must not throw.
   */
  onCommit(effect: () => void): void;
}

/**
 * The writes of the stages that will share one batch. A stage writes into it directly and leaves behind how to undo
 * that; what it wrote stays only if it returns normally.
 */
export class Group {
  readonly #database: Pick<Database, "getSync">;
  /** The group before, which is on disk or on its way there. */
  #below: Group | null;
  readonly #writes = new Map<string, Write>();
  readonly effects: (() => void)[] = [];
  /** Of keys and values; of a cell's value nothing is known before it is encoded. */
  bytes = 0;

  constructor(database: Pick<Database, "getSync">, below: Group | null) {
    this.#database = database;
    this.#below = below;
    // Those further down are on disk: groups are written one after the other.
    if (below !== null) below.#below = null;
  }

  /** @throws what the stage throws, without a trace of it left in the group. */
  run<T>(stage: (tx: Tx) => T): T {
    const before = { bytes: this.bytes, effects: this.effects.length };
    const running = new RunningStage(this);
    try {
      const result = stage(running);
      if (isThenable(result))
        throw new TypeError("Writing failed: a stage returned a promise, expected it to be synchronous.");
      return result;
    } catch (thrown) {
      for (let at = running.written.length - 1; at >= 0; at -= 1)
        this.#restore(running.written[at] as string, running.replaced[at]);
      this.bytes = before.bytes;
      this.effects.length = before.effects;
      throw thrown;
    } finally {
      running.end();
    }
  }

  operations(): Operation[] {
    const operations: Operation[] = [];
    for (const write of this.#writes.values()) {
      const value = valueOf(write);
      operations.push(value === null ? { type: "del", key: write.key } : { type: "put", key: write.key, value });
    }
    return operations;
  }

  get(id: string, key: Buffer): Buffer | undefined {
    const write = this.#find(id);
    return write === undefined ? this.#database.getSync(key) : (valueOf(write) ?? undefined);
  }

  read<T>(cell: Cell<T>): T {
    const write = this.#find(cell.id);
    if (write !== undefined && write.codec === cell.codec) return write.decoded as T;
    return cell.codec.decode(this.get(cell.id, cell.key));
  }

  #find(id: string): Write | undefined {
    return this.#writes.get(id) ?? (this.#below === null ? undefined : this.#below.#writes.get(id));
  }

  /** @returns what stood there before in this group. */
  replace(id: string, write: Write): Write | undefined {
    const before = this.#writes.get(id);
    this.#writes.set(id, write);
    this.bytes += write.key.length + (write.value?.length ?? 0);
    return before;
  }

  #restore(id: string, write: Write | undefined): void {
    if (write === undefined) this.#writes.delete(id);
    else this.#writes.set(id, write);
  }
}

/** What a key will have: `value` is null for none, and undefined until what `decoded` has is encoded. */
type Write = { key: Buffer; value: Buffer | null | undefined; codec: Codec<unknown> | null; decoded: unknown };

function valueOf(write: Write): Buffer | null {
  write.value ??= write.codec === null ? null : write.codec.encode(write.decoded);
  return write.value;
}

class RunningStage implements Tx {
  /** The keys of the writes of this stage, oldest first, and what stood in the group before each. */
  readonly written: string[] = [];
  readonly replaced: (Write | undefined)[] = [];
  readonly #group: Group;
  #ended = false;

  constructor(group: Group) {
    this.#group = group;
  }

  get(key: Buffer): Buffer | undefined {
    this.#assertRunning();
    return this.#group.get(idOf(key), key);
  }

  put(key: Buffer, value: Buffer): void {
    this.#write(idOf(key), { key, value, codec: null, decoded: null });
  }

  del(key: Buffer): void {
    this.#write(idOf(key), { key, value: null, codec: null, decoded: null });
  }

  read<T>(cell: Cell<T>): T {
    this.#assertRunning();
    return this.#group.read(cell);
  }

  set<T>(cell: Cell<T>, value: T): void {
    this.#write(cell.id, { key: cell.key, value: undefined, codec: cell.codec as Codec<unknown>, decoded: value });
  }

  onCommit(effect: () => void): void {
    this.#assertRunning();
    this.#group.effects.push(effect);
  }

  end(): void {
    this.#ended = true;
  }

  #write(id: string, write: Write): void {
    this.#assertRunning();
    this.written.push(id);
    this.replaced.push(this.#group.replace(id, write));
  }

  #assertRunning(): void {
    if (this.#ended) throw new TypeError("Writing failed: a stage used its transaction after it had returned.");
  }
}

/** Each byte a character: a map looks strings up by what they say. */
function idOf(key: Buffer): string {
  return key.toString("latin1");
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
