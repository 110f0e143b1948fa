import type { RestoredMark, StoreName } from "../../contracts/backup.ts";
import type { EventDraft } from "../../contracts/events.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Store } from "../store/store.ts";
import { type Backups, createBackups } from "./backups.ts";
import { backupMade } from "./events.ts";
import type { Retention } from "./folder.ts";

/** What a service is told of the backups of its store. */
export type BackupOptions = {
  plant: string;
  /** Where they are. */
  folder: string;
  retention: Retention;
  /** What a restore left to be put on record; null when there was none since the last start. */
  restored: RestoredMark | null;
  /** Called once that is on record. */
  onRecorded: () => Promise<void>;
};

/** The backups of a service that keeps one store. @param o.tell - brings an event to the audit book. */
export function createServiceBackups(o: {
  name: StoreName;
  store: Pick<Store, "snapshot">;
  /** Of the book in it; null when it is none. */
  origin: string | null;
  options: Pick<BackupOptions, "plant" | "folder" | "retention">;
  self: ServiceSelf;
  newId: () => string;
  tell: (draft: EventDraft) => Promise<unknown>;
  onFault: (error: unknown) => void;
}): Backups {
  const { name, store, origin, self } = o;
  const { plant, folder, retention } = o.options;
  return createBackups({
    stores: { [name]: { store, origin, folder, retention } },
    plant,
    app: self.app,
    now: self.now,
    async tell(made) {
      await o.tell(backupMade(made, { id: o.newId(), now: self.now(), tz: self.tz, service: self.name }));
    },
    onFault: o.onFault,
  });
}
