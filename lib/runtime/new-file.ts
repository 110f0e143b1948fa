import { randomUUID } from "node:crypto";
import { link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { RastroError } from "../contracts/errors.ts";

/**
 * Writes a file that must not exist yet, whole or not at all: what two processes create at once is created once.
 * The folder is made when it is missing (mode 0700). On return the bytes are on disk.
 *
 * @returns false when the file was there already; it is left as it is.
 * @throws RastroError `store_unusable` naming the file.
 */
export async function createOnce(file: string, content: string, mode = 0o600): Promise<boolean> {
  return guarded(file, async (draft) => {
    await writeSynced(draft, content, mode);
    try {
      await link(draft, file);
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    } finally {
      await unlink(draft);
      await syncFolder(dirname(file));
    }
  });
}

/** Replaces a file whole: a reader sees the old or the new content. On return the bytes are on disk. */
export async function replaceFile(file: string, content: string, mode = 0o600): Promise<void> {
  await guarded(file, async (draft) => {
    await writeSynced(draft, content, mode);
    await rename(draft, file);
    await syncFolder(dirname(file));
  });
}

/**
 * Makes a folder and those above it (mode 0700). Not `mkdir` with `recursive`, which never returns where the system
 * answers ENOENT below a folder that exists, as /proc does.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeOne(folder);
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    await makeOne(folder);
  }
}

/** The `code` of a system error, such as ENOENT; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** The error for a path of the data folder that cannot be used. */
export function unusable(action: string, path: string, cause: unknown): RastroError {
  const why = codeOf(cause) ?? (cause instanceof Error ? cause.message : "unknown reason");
  return new RastroError(
    {
      code: "store_unusable",
      message: `${action} ${path} failed (${why}); let whoever runs Rastro write there, or name another folder in RASTRO_DATA.`,
      given: path,
      expected: "a path that can be read and written",
    },
    { cause },
  );
}

async function makeOne(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

async function guarded<T>(file: string, write: (draft: string) => Promise<T>): Promise<T> {
  try {
    await makeFolder(dirname(file));
    return await write(`${file}.${randomUUID()}.new`);
  } catch (error) {
    throw unusable("Writing", file, error);
  }
}

async function writeSynced(file: string, content: string, mode: number): Promise<void> {
  const handle = await open(file, "wx", mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A new name is durable once its folder is synced; Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
