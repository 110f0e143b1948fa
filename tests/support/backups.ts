import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackupOptions } from "../../lib/storage/backup/service-backups.ts";

/** For tests that make no backups: the folder is never made. */
export const NO_BACKUPS: BackupOptions = {
  plant: "plant-test",
  folder: join(tmpdir(), "rastro-test-without-backups"),
  retention: { count: 30, ageMs: 1e12 },
  restored: null,
  onRecorded: () => Promise.resolve(),
};
