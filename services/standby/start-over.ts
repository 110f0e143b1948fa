import type { BookName } from "../../lib/contracts/names.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { logOrigin } from "../../lib/runtime/log-keys.ts";
import { makeBackup } from "../../lib/storage/backup/make.ts";
import { Mirror } from "../../lib/storage/copy/mirror.ts";
import { MIGRATE_A_COPY } from "../../lib/storage/migration/migration.ts";
import { Store } from "../../lib/storage/store/store.ts";

/**
 * Has a copy that follows no further begin again from what it has proven. What it gives up with that may be the only
 * evidence of what the log has told, so that the whole copy is backed up first; these backups stay until somebody
 * removes them.
 *
 * @param o.plant - the plant's id.
 * @returns how many records are left, how many were given up, and the backup's name; null where there was nothing to
 *   give up.
 * @throws RastroError `store_locked` while the standby runs; `book_damaged`; `store_unusable` where the backup cannot be
 *   made: nothing is given up then.
 */
export async function startOver(o: {
  book: BookName;
  plant: string;
  folders: Pick<Folders, "mirrorStore" | "mirrorBackups">;
  /** Software and version. */
  app: string;
  now: () => number;
}): Promise<{ records: number; removed: number; backup: string | null }> {
  const { book: name, plant, folders, app, now } = o;
  const store = await Store.openFolder(folders.mirrorStore(name), { migration: MIGRATE_A_COPY });
  try {
    const mirror = Mirror.open({ store, name, now });
    const { held, proven, divergence } = mirror;
    const origin = logOrigin(plant, name);
    const folder = folders.mirrorBackups(name);
    const isProven = divergence === null && held === (proven?.head.size ?? 0);
    const backup = isProven
      ? null
      : await makeBackup({ store, name, plant, origin, folder, app, now, why: "before-prune", asItIs: true });
    await mirror.startOver();
    return { records: mirror.held, removed: held - mirror.held, backup: backup?.name ?? null };
  } finally {
    await store.close();
  }
}
