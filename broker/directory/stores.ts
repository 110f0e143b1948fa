import { sign } from "../../lib/ledger/signature.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { loadOrCreateKey } from "../../lib/runtime/keys.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Plant } from "../../lib/runtime/plant.ts";
import { requireRestored } from "../../lib/runtime/restored.ts";
import { loadOrCreateSecret } from "../../lib/runtime/secret-file.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { type Directory, openDirectory } from "./directory.ts";
import { openErasures } from "./erasures.ts";
import type { SessionLimits } from "./sessions.ts";

export type OpenedDirectory = {
  directory: Directory;
  /** The directory's own store, and that of the keys of people. */
  store: Store;
  keyStore: Store;
  close: () => Promise<void>;
};

/**
 * Opens the directory of a data folder with its two stores. Makes what is missing: both stores, the directory's
 * service key, the local administrator's key (mode 0600).
 *
 * @throws RastroError `store_locked` while another process has it open, `store_unusable` (also when a restore was cut
 *   off), `store_newer`.
 */
export async function openDirectoryOf(o: {
  folders: Folders;
  plant: Plant;
  tz: string;
  sessionLimits?: SessionLimits;
  log: Logger;
  now: () => number;
  random: (bytes: number) => Buffer;
}): Promise<OpenedDirectory> {
  const { folders, now, random } = o;
  for (const name of ["directory", "people-keys"] as const) await requireRestored(folders.restoredMark(name));
  const key = await loadOrCreateKey(folders.serviceKey("directory"));
  const localKey = await loadOrCreateSecret(folders.localAdmin, random);
  const store = await Store.openFolder(folders.directory);
  const keyStore = await Store.openFolder(folders.peopleKeys).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const close = async () => {
    await store.close();
    await keyStore.close();
  };
  try {
    const directory = await openDirectory({
      store,
      keyStore,
      erasures: await openErasures(folders.erasures),
      plant: o.plant,
      tz: o.tz,
      localKey,
      ...(o.sessionLimits === undefined ? {} : { sessionLimits: o.sessionLimits }),
      sign: (bytes) => sign(key.privateKey, bytes),
      log: o.log,
      now,
      random,
    });
    return { directory, store, keyStore, close };
  } catch (error) {
    await close();
    throw error;
  }
}
