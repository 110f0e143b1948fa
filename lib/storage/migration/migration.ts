import type { Database, Operation } from "../level/database.ts";
import type { StoreSnapshot } from "../level/snapshot.ts";
import type { Mark } from "./mark.ts";

/** What is being done to a store: `back-up` it, make the `new` rows, `compare` them, and let them take the place of the old. */
export type MigrationPhase = "back-up" | "new" | "compare" | "place";

/** How a store is brought to the format of now by whoever opens it. */
export type Migration = {
  /**
   * Keeps the store as it is in another place, before anything of it is changed; on disk when it resolves. Not called
   * for a store of which nothing changes but the number.
   *
   * @returns the name of the backup; null where the store is itself a copy, of which none is made.
   */
  backUp(store: { snapshot(): StoreSnapshot }): Promise<string | null>;
  /** When it was begun, an instant: it will be put on record. Null where nobody is told, as of a copy. */
  at: string | null;
  onProgress?: (phase: MigrationPhase, done: number, of: number) => void;
};

/**
 * What is done with a store of an older format: it is brought to the one of now; `none` leaves it as it is, for whoever
 * reads of it only what is in all formats (records, head, checkpoints); `salvage` is for the copy of a damaged one, which
 * is only read and then thrown away: it gets the form of now, and what is missing in it or wrong stays so.
 */
export type OlderStore = Migration | "none" | "salvage";

/** A migration of a store that is itself a copy: it can be taken again from where it came. */
export const MIGRATE_A_COPY: Migration = { backUp: async () => null, at: null };

/** What a step works with. */
export type Job = {
  database: Database;
  /** Where the last start of it has come to. */
  mark: Mark;
  /** Notes how far it has come, in one synced batch with what was done. */
  advance(progress: Mark["progress"], operations?: Operation[]): Promise<void>;
  onProgress: (phase: MigrationPhase, done: number, of: number) => void;
};

/** The way from one format to the next one. */
export type Step = {
  /** Whether anything of this store changes but the number of its format. */
  concerns(database: Database): Promise<boolean>;
  /**
   * Rewrites what the next format has otherwise. It may be cut off between any two batches and is called again then, with
   * the mark as it was left.
   *
   * @throws RangeError where what is there does not agree with itself: a clause that says what. The store is then as it
   *   was, but for the mark.
   */
  run(job: Job): Promise<void>;
  /** As `salvage` of {@link OlderStore} has it. Compares nothing, and is not taken up again when it was cut off. */
  salvage(database: Database): Promise<void>;
};
