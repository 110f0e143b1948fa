import { existsSync } from "node:fs";
import { join } from "node:path";
import { RastroError } from "../../lib/contracts/errors.ts";
import { LedgerError } from "../../lib/ledger/error.ts";
import { Store } from "../../lib/storage/store/store.ts";

/**
 * Reads something from a store that no process has open. What does not read as what it should be says nothing, nor does
 * a store that is in use, is damaged, or was not closed: its own process may try to open that (LevelDB makes a new store
 * where the file CURRENT is missing).
 */
export async function readClosed<T>(
  folder: string,
  read: (store: Pick<Store, "get" | "range">) => Promise<T>,
): Promise<T | null> {
  if (!existsSync(join(folder, "CURRENT")) || existsSync(`${folder}.open`)) return null;
  let store: Store | null = null;
  try {
    store = await Store.openFolder(folder, { migration: "none" });
    return await read(store);
  } catch (error) {
    if (error instanceof RastroError || error instanceof LedgerError) return null;
    throw error;
  } finally {
    await store?.close();
  }
}
