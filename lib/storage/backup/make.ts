import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BackupCause, BackupHeader, BackupReport, StoreName } from "../../contracts/backup.ts";
import { RastroError } from "../../contracts/errors.ts";
import { rootOf } from "../../ledger/tree.ts";
import { decodeHead } from "../book/head-state.ts";
import { FORMAT_KEY, HEAD_KEY } from "../keys.ts";
import type { StoreSnapshot } from "../level/snapshot.ts";
import type { Store } from "../store/store.ts";
import { requireWholeBackup } from "./check.ts";
import { backupName, removeDrafts } from "./folder.ts";
import { newestCheckpoint } from "./known.ts";
import { writeBackup } from "./write.ts";

/** A record, its id, two nodes of the tree and something for a view: for a bar that fills. */
const ROWS_A_RECORD = 5;

export type MakeOptions = {
  store: Pick<Store, "snapshot">;
  name: StoreName;
  plant: string;
  /** The book's origin; null for a store that is no book. */
  origin: string | null;
  /** Where the backups of this store are. Made (mode 0700) when it is missing. */
  folder: string;
  why: BackupCause;
  /** Software and version. */
  app: string;
  now: () => number;
  /** A book that does not agree with itself is backed up as it is; else that is refused. */
  asItIs?: boolean;
  /** Rows so far, and of about how many. */
  onProgress?: (done: number, of: number) => void;
};

/**
 * Backs a store up while it is written to: the store of one moment, read back and recomputed before the file gets its
 * name. Call it one at a time for a folder.
 *
 * @returns what the reading back gave.
 * @throws RastroError `store_unusable` when the disk is full or cannot be written, `backup_damaged` when what was
 *   written does not read back whole. Nothing is left behind.
 */
export async function makeBackup(o: MakeOptions): Promise<BackupReport> {
  const name = backupName(o.now());
  const snapshot = o.store.snapshot();
  try {
    await mkdir(o.folder, { recursive: true, mode: 0o700 });
    await removeDrafts(o.folder);
    const header = await headerOf(snapshot, o);
    const expected = (header.size ?? 0) * ROWS_A_RECORD;
    const report = await writeBackup({
      snapshot,
      header,
      file: join(o.folder, name),
      onRows: (rows) => o.onProgress?.(rows, Math.max(rows, expected)),
      check: async (draft) => (await requireWholeBackup(draft, { now: o.now, book: o.asItIs !== true })).report,
    });
    return { ...report, name };
  } catch (thrown) {
    throw thrown instanceof RastroError ? thrown : notWritten(o, thrown);
  } finally {
    await snapshot.close();
  }
}

async function headerOf(snapshot: Pick<StoreSnapshot, "get" | "rows">, o: MakeOptions): Promise<BackupHeader> {
  const head = o.origin === null ? null : decodeHead(snapshot.get(HEAD_KEY));
  if (o.origin !== null && head === null && o.asItIs !== true) throw noHead(o.name);
  const checkpoint = o.origin === null ? null : await newestCheckpoint((range) => snapshot.rows(range));
  return {
    v: 1,
    store: o.name,
    plant: o.plant,
    origin: o.origin,
    size: head?.range.size ?? null,
    root: head === null ? null : rootOf(head.range).toString("hex"),
    checkpoint: checkpoint?.note ?? null,
    madeAt: new Date(o.now()).toISOString(),
    app: o.app,
    why: o.why,
    storeFormat: snapshot.get(FORMAT_KEY)?.toString() ?? "",
    compression: "gzip",
  };
}

function noHead(name: StoreName): RastroError {
  const message = `Backing up ${name} failed: the bytes of the book's head are no head. Run a verification.`;
  return new RastroError({ code: "book_damaged", message });
}

function notWritten(o: MakeOptions, cause: unknown): RastroError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Backing up ${o.name} into ${o.folder} failed: ${why}. Check that the disk is not full and the folder can be written.`;
  return new RastroError({ code: "store_unusable", message, given: o.folder }, { cause });
}
