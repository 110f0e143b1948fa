import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { BackupHeader } from "../../contracts/backup.ts";
import type { StoreSnapshot } from "../level/snapshot.ts";
import { syncFolder } from "../sync-folder.ts";
import { encodeRow, type FrameKind, framePrefix, MAGIC } from "./frames.ts";

/** Bytes of rows in a frame, before compression: small, so that a turn of the process that writes it stays short. */
const FRAME_BYTES = 256 * 1024;

/** Hashes and signatures hardly shrink; what does shrinks at the lowest level as well. */
const COMPRESSION = { level: constants.Z_BEST_SPEED };

const compress = promisify<Uint8Array, typeof COMPRESSION, Buffer>(gzip);

/**
 * Writes a snapshot to a file, in constant memory. It is written under the name of a draft, which is no backup, and
 * read back by `check` before it is given its name; on disk when it resolves. Whatever fails, the draft is removed.
 *
 * @param o.file - path of the backup; `<file>.draft` is taken for the draft.
 * @returns what `check` returned.
 * @throws what the disk, the snapshot or `check` throws.
 */
export async function writeBackup<T>(o: {
  snapshot: Pick<StoreSnapshot, "rows">;
  header: BackupHeader;
  file: string;
  onRows?: (rows: number) => void;
  check: (draft: string) => Promise<T>;
}): Promise<T> {
  const draft = `${o.file}.draft`;
  try {
    await writeDraft(draft, o);
    const checked = await o.check(draft);
    await rename(draft, o.file);
    await syncFolder(dirname(o.file));
    return checked;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function writeDraft(
  draft: string,
  o: { snapshot: Pick<StoreSnapshot, "rows">; header: BackupHeader; onRows?: (rows: number) => void },
): Promise<void> {
  // "w": what a killed process left under this name is no backup.
  const handle = await open(draft, "w", 0o600);
  try {
    const out = new FrameWriter(handle);
    await out.begin();
    await out.frame("h", Buffer.from(JSON.stringify(o.header)));
    const rows = await writeRows(out, o.snapshot, o.onRows ?? (() => undefined));
    await out.end(rows);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeRows(
  out: FrameWriter,
  snapshot: Pick<StoreSnapshot, "rows">,
  onRows: (rows: number) => void,
): Promise<number> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  let rows = 0;
  const flush = async () => {
    if (waiting.length > 0) await out.frame("r", await compress(Buffer.concat(waiting, bytes), COMPRESSION));
    waiting = [];
    bytes = 0;
    onRows(rows);
  };
  for await (const [key, value] of snapshot.rows()) {
    const row = encodeRow(key, value);
    waiting.push(row);
    bytes += row.length;
    rows += 1;
    if (bytes >= FRAME_BYTES) await flush();
  }
  await flush();
  return rows;
}

class FrameWriter {
  readonly #handle: FileHandle;
  readonly #whole = createHash("sha256");
  #index = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async begin(): Promise<void> {
    await this.#write(MAGIC);
  }

  async frame(kind: FrameKind, payload: Buffer): Promise<void> {
    await this.#write(framePrefix(this.#index, kind, payload));
    await this.#write(payload);
    this.#index += 1;
  }

  async end(rows: number): Promise<void> {
    const sha256 = this.#whole.copy().digest("hex");
    await this.frame("e", Buffer.from(JSON.stringify({ v: 1, frames: this.#index, rows, sha256 })));
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, at);
      at += bytesWritten;
    }
    this.#whole.update(bytes);
  }
}
