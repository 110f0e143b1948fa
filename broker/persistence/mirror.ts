import type { Store } from "../../lib/storage/store/store.ts";
import { PROBE_KEY } from "./keys.ts";

/** How often a store that is at fault is tried again. */
const TRY_AGAIN_MS = 1000;

/** What is written to see whether there is room again: enough that a few messages would fit too. */
const PROBE_BYTES = 64 * 1024;

/** A value to be written, or a way to make it when the time has come; null removes the key. */
export type Value = Buffer | null | (() => Buffer | null);

/**
 * Keeps a store equal to what is in memory. Memory is what counts while the hub runs; a change is noted here and written
 * with the next group. What could not be written stays noted, and is written once the store works again.
 */
export interface Mirror {
  /** Notes a change. Of several of one key only the last is written. */
  set(key: Buffer, value: Value): void;
  /**
   * Resolves when everything that was noted before is on disk. Calls of the time in which one group is being written
   * share the next.
   *
   * @throws RastroError `store_unusable`; at once, without trying, while the store is at fault.
   */
  sync(): Promise<void>;
  /** Whether there is something to write. */
  readonly dirty: boolean;
  /** Why nothing can be written at the moment; null when it can. */
  fault(): Error | null;
  /** Writes what is left, if it can be written, and tries no more. */
  close(): Promise<void>;
}

/** @param o.onFault - told when the store begins to be at fault, and with null when it works again. */
export function createMirror(o: {
  store: Pick<Store, "write">;
  onFault: (fault: Error | null) => void;
  tryAgainMs?: number;
}): Mirror {
  type Noted = { key: Buffer; value: Value };
  let noted = new Map<string, Noted>();
  let next: Promise<void> | null = null;
  let fault: Error | null = null;
  let again: NodeJS.Timeout | null = null;
  let closed = false;

  const set = (key: Buffer, value: Value) => void noted.set(key.toString("latin1"), { key, value });

  async function write(): Promise<void> {
    let taken = new Map<string, Noted>();
    let ran = false;
    try {
      await o.store.write((tx) => {
        ran = true;
        next = null;
        taken = noted;
        noted = new Map();
        for (const { key, value } of taken.values()) {
          const bytes = typeof value === "function" ? value() : value;
          if (bytes === null) tx.del(key);
          else tx.put(key, bytes);
        }
      });
      recovered();
    } catch (thrown) {
      if (!ran) next = null;
      for (const [id, row] of taken) if (!noted.has(id)) noted.set(id, row);
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      failed(error);
      throw error;
    }
  }

  function failed(error: Error): void {
    const before = fault;
    fault = error;
    if (!closed) again ??= setTimeout(tryAgain, o.tryAgainMs ?? TRY_AGAIN_MS);
    if (before === null) o.onFault(error);
  }

  function recovered(): void {
    if (fault === null) return;
    fault = null;
    o.onFault(null);
  }

  function tryAgain(): void {
    again = null;
    set(PROBE_KEY, Buffer.alloc(PROBE_BYTES));
    write().then(
      () => set(PROBE_KEY, null),
      () => undefined,
    );
  }

  return {
    set,
    sync() {
      if (fault !== null) return Promise.reject(fault);
      next ??= write();
      return next;
    },
    get dirty() {
      return noted.size > 0;
    },
    fault: () => fault,
    async close() {
      closed = true;
      if (again !== null) clearTimeout(again);
      if (noted.size > 0) await write().catch(() => undefined);
    },
  };
}
