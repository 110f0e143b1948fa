import { z } from "zod";
import { BackupName, BackupReport, BackupRow } from "../backup.ts";
import type { Operation } from "./operation.ts";

/** What every service answers about the backups of its own store. The hub's stores are backed up over the directory's HTTP. */
export const backupOperations = {
  "backup-create": { profiles: ["administrator"], request: z.strictObject({}), response: BackupReport },
  "backup-list": { profiles: ["administrator"], request: z.strictObject({}), response: z.array(BackupRow) },
  "backup-verify": {
    profiles: ["administrator"],
    request: z.strictObject({ name: BackupName }),
    response: BackupReport,
  },
} as const satisfies Record<string, Operation>;
