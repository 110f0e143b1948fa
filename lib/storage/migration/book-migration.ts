import type { BookName } from "../../contracts/names.ts";
import { makeBackup } from "../backup/make.ts";
import type { Migration, MigrationPhase } from "./migration.ts";

/** How often it is said that work goes on, and how far it has come, ms. */
const TELL_EVERY_MS = 2000;

type Log = { info(values: object, message: string): void };

/**
 * How a service brings the store of its book to the format of now: with a backup first, which stays until somebody
 * removes it, and lines in the log that say how far it has come.
 *
 * @param o.folder - where the backups of the book are.
 * @param o.onWork - called while work goes on, for whoever would take the service for stuck.
 */
export function bookMigration(o: {
  name: BookName;
  plant: string;
  /** Names the log for good. */
  origin: string;
  folder: string;
  /** Software and version. */
  app: string;
  now: () => number;
  onWork: () => void;
  log: Log;
}): Migration {
  const { name, plant, origin, folder, app, now, onWork, log } = o;
  let told = { phase: "", at: 0 };
  const onProgress = (phase: MigrationPhase, done: number, of: number) => {
    if (phase === told.phase && now() - told.at < TELL_EVERY_MS) return;
    told = { phase, at: now() };
    onWork();
    log.info({ book: name, phase, done, of }, "the store is brought to another format");
  };
  return {
    at: new Date(now()).toISOString(),
    onProgress,
    async backUp(store) {
      // Reading it back is work too, of which nothing is heard.
      const working = setInterval(onWork, TELL_EVERY_MS);
      try {
        const { name: backup, bytes } = await makeBackup({
          store,
          name,
          plant,
          origin,
          folder,
          app,
          now,
          why: "before-migration",
          // What a verification finds in it is no reason to keep none.
          asItIs: true,
          onProgress: (done, of) => onProgress("back-up", done, of),
        });
        log.info({ book: name, backup, bytes }, "the store was backed up before it is brought to another format");
        return backup;
      } finally {
        clearInterval(working);
      }
    },
  };
}
