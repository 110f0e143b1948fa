import { join } from "node:path";
import { isHubStore, type StoreName } from "../contracts/backup.ts";
import type { Folders } from "./folders.ts";
import { removeMark, requireRestored } from "./restored.ts";
import type { Settings } from "./settings.ts";

/** Where a store is, whose it is, and where its backups go. */
export type StorePlace = {
  name: StoreName;
  /** The process that has it open. */
  process: "broker" | "production" | "audit" | "fleet";
  folder: string;
  /** Of a book: the origin that names it for good, and its head note. */
  book: { origin: string; headNote: string } | null;
  backups: string;
  retention: { count: number; ageMs: number };
};

/** The place of a store in a data folder. @param plant - the plant's id. */
export function storePlace(
  name: StoreName,
  o: { folders: Folders; plant: string; backups: Settings["backups"] },
): StorePlace {
  const { folders, plant, backups } = o;
  const isBook = name === "production" || name === "audit";
  // Keys of people lie apart, and for a shorter time: an erased person can be read for as long as a backup has the key.
  const isKeys = name === "people-keys";
  return {
    name,
    process: isHubStore(name) ? "broker" : name,
    folder: storeFolder(name, folders),
    book: isBook ? { origin: `${plant}/${name}`, headNote: folders.headNote(name) } : null,
    backups: isKeys ? backups.keysFolder : join(backups.folder, name),
    retention: { count: backups.count, ageMs: isKeys ? backups.keysAgeMs : backups.ageMs },
  };
}

function storeFolder(name: StoreName, folders: Folders): string {
  const folderOf: Record<StoreName, string> = {
    production: folders.bookStore("production"),
    audit: folders.bookStore("audit"),
    fleet: folders.fleet,
    directory: folders.directory,
    "people-keys": folders.peopleKeys,
    sessions: folders.mqttSessions,
  };
  return folderOf[name];
}

/**
 * What a service is told of the backups of its store. To be asked before the store is opened.
 *
 * @throws RastroError `store_unusable` when a restore was cut off.
 */
export async function backupOptionsOf(name: StoreName, o: { settings: Settings; folders: Folders; plant: string }) {
  const { folders, plant, settings } = o;
  const { backups: folder, retention } = storePlace(name, { folders, plant, backups: settings.backups });
  const mark = folders.restoredMark(name);
  return { plant, folder, retention, restored: await requireRestored(mark), onRecorded: () => removeMark(mark) };
}
