import type { Cell } from "../../../lib/storage/store/store.ts";

/** A transaction over a map: what a fold needs of a store, and nothing else. Keys sort as a store's do. */
export function createMemoryTx() {
  const kept = new Map<string, Buffer>();
  return {
    get: (key: Buffer) => kept.get(key.toString("hex")),
    put: (key: Buffer, value: Buffer) => void kept.set(key.toString("hex"), value),
    del: (key: Buffer) => void kept.delete(key.toString("hex")),
    read: <T>(cell: Cell<T>) => cell.codec.decode(kept.get(cell.key.toString("hex"))),
    set: <T>(cell: Cell<T>, value: T) => void kept.set(cell.key.toString("hex"), cell.codec.encode(value)),
    onCommit: (effect: () => void) => effect(),
    /** Every key and value as text, in the order of the keys. */
    dump: () =>
      [...kept].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value.toString("hex")}`),
  };
}
