import { MemoryLevel } from "memory-level";
import { RastroError } from "../../contracts/errors.ts";
import { LevelFolder, undoRewriting } from "./folder.ts";

export type Operation = { type: "put"; key: Buffer; value: Buffer } | { type: "del"; key: Buffer };

export type KeyRange = { gte: Buffer; lt: Buffer; reverse?: boolean; limit?: number };

/** The rows of one moment, while it is open. */
export interface View {
  close(): Promise<void>;
}

/** How the rows of a range are read: without their keys, keys or values as text, as many bytes at once. */
export type RowForm = {
  keys?: false;
  keyEncoding?: "utf8";
  valueEncoding?: "utf8";
  highWaterMarkBytes?: number;
};

/** The part of abstract-level that a store needs; LevelDB, memory and the faulty ones of tests satisfy it. */
export interface Database {
  open(): Promise<void>;
  close(): Promise<void>;
  get(key: Buffer): Promise<Buffer | undefined>;
  getSync(key: Buffer, options?: { snapshot?: View }): Buffer | undefined;
  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]>;
  /** All or nothing; on disk when it resolves. */
  batch(operations: Operation[], options: { sync: true }): Promise<void>;
  /** Leaves nothing in any file of what was deleted or replaced. Closed meanwhile. Not there where nothing is in files. */
  rewrite?(): Promise<void>;
  snapshot(): View;
  iterator(range: KeyRange & RowForm & { snapshot?: View }): {
    nextv(size: number): Promise<[Buffer, Buffer][]>;
    /** The next row is the first one from this key on. Not while rows are being read. */
    seek(target: Buffer): void;
    close(): Promise<void>;
  };
  /** Undefined where nothing is in files. */
  readonly folder?: string;
  /** The folder that other threads of this process can open too; undefined where they cannot. */
  readonly shared?: string;
}

const ENCODING = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;

/**
 * What LevelDB gathers in memory before it writes a table, bytes. With its preset of 4 MiB a busy store spends as much on
 * merging small tables as on writing; opening after a crash reads at most this much of the log again.
 */
const WRITE_BUFFER = 16 * 1024 * 1024;
/** … of a book, whose records, tree and ids lie apart, so that tables overlap and are merged more. */
const BOOK_WRITE_BUFFER = 64 * 1024 * 1024;

/**
 * Opens a LevelDB folder, which is made if it is not there.
 *
 * @param o.ahead - it is the store of a book, which is written to ahead.
 * @param o.threads - worker threads may open the same folder, with {@link joinLevel}. Then a second opening by this
 *   process is not refused, which LevelDB does otherwise.
 * @throws RastroError `store_locked` while another process has it open, `store_unusable` when it cannot be read
 *   or written.
 */
export async function openLevel(folder: string, o: { threads?: boolean; ahead?: boolean } = {}): Promise<Database> {
  const multithreading = o.threads === true;
  const writeBufferSize = o.ahead === true ? BOOK_WRITE_BUFFER : WRITE_BUFFER;
  try {
    // Before the database is made: that makes the folder, and a rewriting that was cut short may have moved it.
    await undoRewriting(folder);
    const level = new LevelFolder(folder, { writeBufferSize, multithreading });
    await level.open();
    await level.removeLeftovers();
    return { ...chaining(level), folder, ...(multithreading && { shared: folder }) };
  } catch (thrown) {
    throw describeOpenFailure(folder, thrown);
  }
}

/** As the database is, but for the way in which batches are written. */
function chaining(level: LevelFolder): Database {
  const database: Database = level;
  return {
    open: () => database.open(),
    close: () => database.close(),
    get: (key) => database.get(key),
    getSync: (key, options = {}) => database.getSync(key, options),
    getMany: (keys) => database.getMany(keys),
    rewrite: () => level.rewrite(),
    batch: (operations, options) => writeChained(level, operations, options),
    snapshot: () => database.snapshot(),
    iterator: (range) => database.iterator(range),
  };
}

/** A chained batch: one given as a list is read back property by property from native code, at twice the cost. */
async function writeChained(level: LevelFolder, operations: Operation[], options: { sync: true }): Promise<void> {
  const batch = level.batch();
  for (const operation of operations) {
    if (operation.type === "put") batch.put(operation.key, operation.value);
    else batch.del(operation.key);
  }
  await batch.write(options);
}

/** Opens on another thread what this process has open already, by the very path that was given there. */
export async function joinLevel(folder: string): Promise<Pick<Database, "iterator" | "close">> {
  const database = new LevelFolder(folder, { createIfMissing: false, multithreading: true });
  await database.open();
  return database;
}

/** A database that is gone with the process; for tests and tools. */
export async function openMemory(): Promise<Database> {
  const database = new MemoryLevel<Buffer, Buffer>(ENCODING);
  await database.open();
  return database;
}

function describeOpenFailure(folder: string, thrown: unknown): RastroError {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  const code = (cause as { code?: unknown }).code;
  const detail = cause instanceof Error ? cause.message : String(cause);
  if (code === "LEVEL_LOCKED") {
    const message = `Opening the store in ${folder} failed: another process has it open. Stop the other process, or choose another folder with RASTRO_DATA.`;
    return new RastroError({ code: "store_locked", message, given: folder }, { cause });
  }
  const advice =
    code === "LEVEL_CORRUPTION"
      ? "Keep a copy of the folder as it is and restore a verified backup."
      : "Check that the folder exists on a disk that is not full and that this user may write to it, or choose another folder with RASTRO_DATA.";
  return new RastroError(
    { code: "store_unusable", message: `Opening the store in ${folder} failed: ${detail}. ${advice}`, given: folder },
    { cause },
  );
}
