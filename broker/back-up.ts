import { v7 } from "uuid";
import { HUB_STORES, type HubStore } from "../lib/contracts/backup.ts";
import { backupOptionsOf } from "../lib/runtime/backup-places.ts";
import { daily } from "../lib/runtime/daily.ts";
import type { ProcessContext } from "../lib/runtime/process.ts";
import { type Backups, createBackups } from "../lib/storage/backup/backups.ts";
import { backupMade } from "../lib/storage/backup/events.ts";
import { tellRestored } from "../lib/storage/backup/restored-store.ts";
import type { BackupOptions } from "../lib/storage/backup/service-backups.ts";
import type { Store } from "../lib/storage/store/store.ts";
import { BY_DIRECTORY } from "./directory/drafts.ts";
import type { Directory } from "./directory/directory.ts";

/** What is to be known of the backups of each of the hub's stores. */
export type HubBackupOptions = Record<HubStore, BackupOptions>;

/**
 * To be asked before any of the hub's stores is opened.
 *
 * @throws RastroError `store_unusable` when the restore of one was cut off.
 */
export async function hubBackupOptions(
  context: Pick<ProcessContext, "settings" | "folders">,
  plant: string,
): Promise<HubBackupOptions> {
  const all = HUB_STORES.map(async (name) => [name, await backupOptionsOf(name, { ...context, plant })] as const);
  return Object.fromEntries(await Promise.all(all)) as HubBackupOptions;
}

/** Backs the hub's stores up each day and on request, and puts restores of them on record. */
export async function backUpHub(
  { settings, log, health, onStop }: ProcessContext,
  o: {
    directory: Directory;
    stores: Record<HubStore, Pick<Store, "snapshot">>;
    /** The directory's own: what it tells audit goes through its outbox. */
    store: Store;
    options: HubBackupOptions;
    app: string;
  },
): Promise<Backups> {
  const { directory, store, options } = o;
  const now = Date.now;
  await recordRestores(o, settings.tz);
  const stores = Object.fromEntries(
    HUB_STORES.map((name) => {
      const { folder, retention } = options[name];
      return [name, { store: o.stores[name], origin: null, folder, retention }];
    }),
  );
  const backups = createBackups({
    stores,
    plant: directory.plant,
    app: o.app,
    now,
    async tell(made) {
      const event = backupMade(made, { id: v7({ msecs: now() }), now: now(), tz: settings.tz, service: "directory" });
      await store.write((tx) => void directory.outbox.stage(tx, event));
    },
    onFault: (error, name) => log.error({ err: error, store: name }, "a backup failed, or could not be put on record"),
  });
  onStop(daily({ at: settings.backups.at, tz: settings.tz, work: () => backups.createAll("schedule") }));
  health.check("backup", () => backups.fault() ?? true);
  return backups;
}

/**
 * Sessions that had ended since a backup was made would be good again after its restore: all are ended, so that
 * everybody signs in anew.
 */
async function recordRestores(
  o: { directory: Directory; store: Store; options: HubBackupOptions },
  tz: string,
): Promise<void> {
  const { directory, store, options } = o;
  if (options.directory.restored !== null) await directory.sessions.end(() => true, BY_DIRECTORY, "ended");
  const keys = { of: async (sub: string) => keyOf(directory, sub) };
  for (const name of HUB_STORES) {
    await tellRestored({ store, outbox: directory.outbox, tz, keys, backups: options[name] });
  }
}

async function keyOf(directory: Directory, sub: string): Promise<{ key: Uint8Array } | null> {
  const { key } = await directory.people.key(sub);
  return { key: Buffer.from(key, "base64") };
}
