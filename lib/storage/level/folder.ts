import { access, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Level } from "level";
import { syncFolder } from "../sync-folder.ts";

/** Rows and bytes that are copied at a time. */
const COPIED_TOGETHER = 4096;
const COPIED_BYTES = 1024 * 1024;
/** Bytes that are overwritten at a time. */
const OVERWRITTEN_TOGETHER = 1024 * 1024;

const ENCODING = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;

/** LevelDB in a folder. */
export class LevelFolder extends Level<Buffer, Buffer> {
  readonly #folder: string;

  constructor(
    folder: string,
    options: { writeBufferSize?: number; createIfMissing?: boolean; multithreading?: boolean },
  ) {
    super(folder, { ...ENCODING, ...options });
    this.#folder = folder;
  }

  /**
   * Writes the store anew with nothing but the rows that it has now, and overwrites the files that it had: what was
   * deleted or replaced is then in no file. It is closed for a moment meanwhile.
   *
   * LevelDB's own `compactRange` does not promise that: a key that was written and deleted within one buffer goes to the
   * deepest level with both, where nothing merges it away; and the bounds of every table stand in its manifest.
   */
  async rewrite(): Promise<void> {
    const { fresh, old } = besides(this.#folder);
    await shred(fresh);
    await this.#copyInto(fresh);
    await this.close();
    try {
      await rename(this.#folder, old);
      await rename(fresh, this.#folder);
      await syncFolder(dirname(this.#folder));
    } catch (error) {
      await undoRewriting(this.#folder);
      await this.open();
      throw error;
    }
    await this.open();
    await shred(old);
  }

  /** What a rewriting that was cut short left beside the folder. Called with the folder open: its lock says whose it is. */
  async removeLeftovers(): Promise<void> {
    for (const folder of Object.values(besides(this.#folder))) await shred(folder);
  }

  async #copyInto(folder: string): Promise<void> {
    const copy = new Level<Buffer, Buffer>(folder, ENCODING);
    await copy.open();
    const iterator = this.iterator({ highWaterMarkBytes: COPIED_BYTES });
    try {
      for (;;) {
        const rows = await iterator.nextv(COPIED_TOGETHER);
        if (rows.length === 0) return;
        const puts = rows.map(([key, value]) => ({ type: "put" as const, key, value }));
        await copy.batch(puts, { sync: true });
      }
    } finally {
      await iterator.close();
      await copy.close();
    }
  }
}

/** Where a rewriting was cut short after the old folder was moved and before the new one was in its place. */
export async function undoRewriting(folder: string): Promise<void> {
  const { old } = besides(folder);
  if (!(await exists(folder)) && (await exists(old))) await rename(old, folder);
}

function besides(folder: string): { fresh: string; old: string } {
  return { fresh: `${folder}.new`, old: `${folder}.old` };
}

/** Overwrites the files of a folder before it removes them: an unlinked file stays readable on the disk under it. */
async function shred(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => null);
  if (names === null) return;
  for (const name of names) await overwrite(join(folder, name));
  await rm(folder, { recursive: true, force: true });
}

async function overwrite(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const zeros = Buffer.alloc(Math.min(size, OVERWRITTEN_TOGETHER));
    for (let at = 0; at < size; at += zeros.length) await file.write(zeros, 0, Math.min(zeros.length, size - at), at);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
