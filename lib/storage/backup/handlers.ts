import type { BackupReport, BackupRow, StoreName } from "../../contracts/backup.ts";
import type { Backups } from "./backups.ts";

type Caller = { sub: string; auth: "session" | "local" };
type Report = (done: number, of: number) => void;

/** The handlers of the operations on the backups of a service's one store; bodies are those of `contracts/operations/backup.ts`. */
export function backupHandlers(backups: Backups, store: StoreName) {
  return {
    "backup-create": (_body: unknown, { sub, auth }: Caller, report: Report): Promise<BackupReport> =>
      backups.create(store, "request", { sub, auth }, report),
    "backup-list": (): Promise<BackupRow[]> => backups.list(),
    "backup-verify": ({ name }: { name: string }, _caller: unknown, report: Report): Promise<BackupReport> =>
      backups.verify(store, name, report),
  };
}

/** Keys that are changed only once the store beside them is backed up: a change that goes wrong can be undone. */
export function backedUpFirst<K extends { rotate: () => Promise<unknown> }>(
  keys: K,
  backups: Pick<Backups, "create">,
  store: StoreName,
): K {
  const rotate = async () => {
    await backups.create(store, "before-key-rotation", null);
    return keys.rotate();
  };
  return { ...keys, rotate };
}
