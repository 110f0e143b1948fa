import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { BackupCause, BackupReport, BackupRow, StoreName } from "../../contracts/backup.ts";
import type { Actor } from "../../contracts/events.ts";
import { RastroError, toProblem } from "../../contracts/errors.ts";
import type { Store } from "../store/store.ts";
import { checkBackup } from "./check.ts";
import { listBackups, notKept, passingBackupsIn, requireBackup, type Retention } from "./folder.ts";
import { makeBackup } from "./make.ts";

type OnProgress = (done: number, of: number) => void;

/** A store that a process backs up. */
export type BackedUp = {
  store: Pick<Store, "snapshot">;
  /** Origin of the book in it; null when it is none. */
  origin: string | null;
  /** Where its backups are. */
  folder: string;
  retention: Retention;
};

/** Who asked for a backup; null for the clock. */
export type Asker = Actor;

/** What goes on record of a backup. */
export type Made = { store: StoreName; why: BackupCause; report: BackupReport; by: Asker | null };

export interface Backups {
  readonly stores: readonly StoreName[];
  /**
   * Backs one store up, reads it back, and removes what is not kept any longer. One at a time: others wait.
   *
   * @throws RastroError as {@link makeBackup}; `unknown_backup` for a store that is not this process's.
   */
  create(store: StoreName, why: BackupCause, by: Asker | null, onProgress?: OnProgress): Promise<BackupReport>;
  /** Every backup of every store of this process, newest first. */
  list(): Promise<BackupRow[]>;
  /** Reads a backup through; its outcome counts when it is decided which backups are kept. @throws RastroError `unknown_backup`. */
  verify(store: StoreName, name: string, onProgress?: OnProgress): Promise<BackupReport>;
  /** Backs up every store, for the clock. Never rejects: {@link Backups.fault} says what went wrong. */
  createAll(why: BackupCause): Promise<void>;
  /** What went wrong with the last backup of a store, a sentence; null when each of them was made. */
  fault(): string | null;
}

/**
 * The backups of one process's stores.
 *
 * @param o.tell - puts a backup on record; that it could not be is told to `onFault`.
 */
export function createBackups(o: {
  stores: Partial<Record<StoreName, BackedUp>>;
  plant: string;
  app: string;
  now: () => number;
  tell: (made: Made) => Promise<void>;
  onFault: (error: unknown, store: StoreName) => void;
}): Backups {
  const known = new Map(Object.entries(o.stores) as [StoreName, BackedUp][]);
  const faults = new Map<StoreName, string>();
  /** Paths of backups that a verification found damaged, with what it found. */
  const damaged = new Map<string, string>();
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  }

  function requireStore(store: StoreName): BackedUp {
    const found = known.get(store);
    if (found !== undefined) return found;
    const message = `Backing up ${store} failed: this process keeps ${[...known.keys()].join(", ")}.`;
    throw new RastroError({ code: "unknown_backup", message, field: "store", given: store });
  }

  async function make(store: StoreName, why: BackupCause, by: Asker | null, onProgress?: OnProgress) {
    const backedUp = requireStore(store);
    const { plant, app, now } = o;
    const options = { ...backedUp, name: store, plant, app, why, now };
    try {
      const report = await makeBackup({ ...options, ...(onProgress !== undefined && { onProgress }) });
      faults.delete(store);
      await o.tell({ store, why, report, by }).catch((error: unknown) => o.onFault(error, store));
      await removeOld(backedUp);
      return report;
    } catch (error) {
      faults.set(store, toProblem(error).message);
      o.onFault(error, store);
      throw error;
    }
  }

  async function removeOld({ folder, retention }: BackedUp): Promise<void> {
    const all = (await passingBackupsIn(folder)).map((name) => ({ name, damaged: damaged.has(join(folder, name)) }));
    for (const name of notKept(all, retention, o.now())) await rm(join(folder, name), { force: true });
  }

  return {
    stores: [...known.keys()],
    create: (store, why, by, onProgress) => inTurn(() => make(store, why, by, onProgress)),
    async list() {
      const lists = [...known].map(([store, { folder }]) =>
        listBackups(folder, store, (name) => damaged.get(join(folder, name)) ?? null),
      );
      return (await Promise.all(lists)).flat();
    },
    verify: (store, name, onProgress) =>
      inTurn(async () => {
        const file = await requireBackup(requireStore(store).folder, name);
        const { report } = await checkBackup(file, { now: o.now, ...(onProgress !== undefined && { onProgress }) });
        const [first] = report.faults;
        if (report.ok) damaged.delete(file);
        else damaged.set(file, `frame ${first?.frame}: ${first?.what}`);
        return report;
      }),
    async createAll(why) {
      for (const store of known.keys()) await inTurn(() => make(store, why, null)).catch(() => undefined);
    },
    fault: () => [...faults].map(([store, what]) => `the last backup of ${store} failed: ${what}`)[0] ?? null,
  };
}
