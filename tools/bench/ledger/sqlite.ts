import { join } from "node:path";
import type { AppenderKind } from "./appenders.ts";
import { importIfInstalled } from "./optional.ts";
import { preparedBytes } from "./records.ts";

/** The part of better-sqlite3 that is used here. */
type Driver = {
  default: new (path: string) => {
    pragma(text: string): unknown;
    exec(sql: string): unknown;
    prepare(sql: string): { run(...values: Buffer[]): unknown };
    close(): void;
  };
};

/** SQLite as it syncs each commit: a record an insert, an insert a transaction. Null where better-sqlite3 is not installed. */
export async function sqlite(): Promise<AppenderKind<Buffer> | null> {
  const driver = await importIfInstalled<Driver>("better-sqlite3");
  if (driver === null) return null;
  const Database = driver.default;
  return {
    name: "SQLite",
    prepare: preparedBytes,
    async open(folder) {
      const database = new Database(join(folder, "records.sqlite"));
      database.pragma("journal_mode = WAL");
      database.pragma("synchronous = FULL");
      database.exec("CREATE TABLE records (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
      const insert = database.prepare("INSERT INTO records (bytes) VALUES (?)");
      return {
        // It answers only when it is on disk; the promise is for the callers' sake.
        append: async (bytes) => insert.run(bytes),
        close: async () => database.close(),
      };
    },
  };
}
