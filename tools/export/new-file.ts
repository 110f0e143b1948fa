import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { dirname, join, basename } from "node:path";
import { RastroError } from "../../lib/contracts/errors.ts";

/** Text that is written piece by piece. Resolves when there is room for the next. */
export type Sink = { write(text: string): Promise<void> };

/** Written at once: fewer and larger pieces are faster. */
const BUFFER_LENGTH = 256 * 1024;

/**
 * Makes a file out of what is written, under its name only when all of it is on disk: until then it has another name
 * beside it, and is removed when the work fails. An older file of the name is replaced.
 *
 * @throws RastroError `file_unusable` naming the file, with what to do when the disk is full; what `work` throws.
 */
export async function writeNewFile<T>(path: string, work: (sink: Sink) => Promise<T>): Promise<T> {
  const draft = join(dirname(path), `.${basename(path)}.${randomUUID()}.part`);
  const handle = await writing(path, () => open(draft, "wx", 0o600));
  try {
    const result = await fill(path, handle, work);
    await writing(path, () => rename(draft, path));
    return result;
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  }
}

async function fill<T>(path: string, handle: FileHandle, work: (sink: Sink) => Promise<T>): Promise<T> {
  let pieces = "";
  const flush = () => {
    const text = pieces;
    pieces = "";
    return writing(path, () => handle.writeFile(text));
  };
  try {
    const result = await work({
      async write(text) {
        pieces += text;
        if (pieces.length >= BUFFER_LENGTH) await flush();
      },
    });
    await flush();
    await writing(path, () => handle.sync());
    return result;
  } finally {
    await handle.close();
  }
}

async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw unusableFile("Writing", path, cause);
  }
}

const WHAT_TO_DO: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: make room, or name a file on another one with -o",
  EDQUOT: "the disk quota is used up: make room, or name a file on another disk with -o",
  ENOENT: "there is no such folder",
  ENOTDIR: "there is no such folder",
  EISDIR: "it is a folder",
  EACCES: "you may not write there",
  EPERM: "you may not write there",
  EROFS: "nothing can be written there",
};

function unusableFile(action: string, path: string, cause: unknown): RastroError {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  const why = WHAT_TO_DO[code] ?? (code || String(cause));
  return new RastroError(
    { code: "file_unusable", message: `${action} ${path} failed: ${why}. Nothing was left behind.`, given: path },
    { cause },
  );
}
