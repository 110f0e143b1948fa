import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openLevel, openMemory } from "../../lib/storage/level/database.ts";
import { Store } from "../../lib/storage/store/store.ts";

/** A place for one store that outlives the closing of it. */
export interface Bed {
  /** Opens the database of this place, which has to be closed. */
  database(): Promise<Database>;
  open(): Promise<Store>;
  /** A path beside the store. */
  path(name: string): string;
  remove(): Promise<void>;
}

export type Backend = { name: string; make(): Promise<Bed> };

/** What the suites of this folder run on. */
export const BACKENDS: readonly Backend[] = [
  { name: "memory", make: () => makeBed(inMemory()) },
  { name: "LevelDB", make: () => makeBed((folder) => openLevel(join(folder, "store"))) },
];

async function makeBed(openIn: (folder: string) => Promise<Database>): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), "rastro-store-"));
  return {
    database: () => openIn(folder),
    open: async () => Store.onDatabase(await openIn(folder), folder),
    path: (name) => join(folder, name),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A database in memory keeps its rows when it is closed and opened again. */
function inMemory(): (folder: string) => Promise<Database> {
  let kept: Database | null = null;
  return async () => {
    if (kept === null) kept = await openMemory();
    else await kept.open();
    return kept;
  };
}
