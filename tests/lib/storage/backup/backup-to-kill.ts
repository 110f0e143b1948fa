import { join } from "node:path";
import { makeBackup } from "../../../../lib/storage/backup/make.ts";
import { Store } from "../../../../lib/storage/store/store.ts";

/* Run by killed.test.ts: begins a backup and is killed as by kill -9 when so many of its frames are written. */

const [folder, frames] = process.argv.slice(2) as [string, string];
let left = Number(frames);
await makeBackup({
  store: await Store.openFolder(join(folder, "store")),
  name: "production",
  plant: "plant-1",
  origin: "plant-1/production",
  folder: join(folder, "backups"),
  why: "schedule",
  app: "production@test",
  now: Date.now,
  onProgress: () => {
    left -= 1;
    if (left === 0) process.kill(process.pid, "SIGKILL");
  },
});
