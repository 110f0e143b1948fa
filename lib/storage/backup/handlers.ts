import type { BackupReport, BackupRow, StoreName } from "../../contracts/backup.ts";
import type { Backups } from "./backups.ts";

type Caller = { sub: string; auth: "session" | "local" };
type Report = (done: number, of: number) => void;

/** The handlers of the operations on the backups of a service's one store; bodies are those of `contracts/operations.ts`. */
export function backupHandlers(backups: Backups, store: StoreName) {
  return {
    "backup-create": (_body: unknown, { sub, auth }: Caller, report: Report): Promise<BackupReport> =>
      backups.create(store, "request", { sub, auth }, report),
    "backup-list": (): Promise<BackupRow[]> => backups.list(),
    "backup-verify": ({ name }: { name: string }, _caller: unknown, report: Report): Promise<BackupReport> =>
      backups.verify(store, name, report),
  };
}
