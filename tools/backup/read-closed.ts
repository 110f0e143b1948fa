import { existsSync } from "node:fs";
import { join } from "node:path";
import { RastroError } from "../../lib/contracts/errors.ts";
import { Store } from "../../lib/storage/store/store.ts";

/**
 * Reads something from a store that no process has open. One that was not closed, is damaged, or is in use says nothing:
 * it is its own process that may try to open it (LevelDB makes a new store where the file CURRENT is missing).
 */
export async function readClosed<T>(
  folder: string,
  read: (store: Pick<Store, "get" | "range">) => Promise<T>,
): Promise<T | null> {
  if (!existsSync(join(folder, "CURRENT")) || existsSync(`${folder}.open`)) return null;
  let store: Store | null = null;
  try {
    store = await Store.openFolder(folder);
    return await read(store);
  } catch (error) {
    if (error instanceof RastroError) return null;
    throw error;
  } finally {
    await store?.close();
  }
}
