import { openLevel } from "../../../../lib/storage/level/database.ts";
import { bringUpToDate } from "../../../../lib/storage/migration/migrate.ts";

/*
 * Run by killed.test.ts: brings a store from format 1 to format 2 and is killed as by kill -9 when so many batches are on
 * the disk.
 */

const [folder, batches] = process.argv.slice(2) as [string, string];
const database = await openLevel(folder);
let left = Number(batches);
const batch: typeof database.batch = async (operations, options) => {
  await database.batch(operations, options);
  left -= 1;
  if (left === 0) process.kill(process.pid, "SIGKILL");
};
const migration = { backUp: async () => "a backup", at: null };
await bringUpToDate({ ...database, batch }, folder, { migration });
await database.close();
