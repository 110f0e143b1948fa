import { constants, type FileHandle, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { HEAD_NOTE_LENGTH, type HeadNote, parseHeadNote } from "../../ledger/head-note.ts";
import { syncFolder } from "../sync-folder.ts";

/**
 * Linux writes and syncs in one call with this flag. On other systems it promises less than their fdatasync, which is
 * called after each write there.
 */
const SYNCS_ITSELF = process.platform === "linux";
const OPEN_FLAGS = constants.O_RDWR | (SYNCS_ITSELF ? constants.O_DSYNC : 0);

export type ReadNote = HeadNote | "missing" | "unreadable";

/**
 * The file with the head note of a book. It is overwritten in place: one aligned sector reaches the disk whole or not
 * at all, so a power cut leaves the note before or the note after, never half of each.
 */
export class NoteFile {
  readonly #path: string;
  #handle: FileHandle | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** What the file says now; waits for a write that is under way. */
  read(): Promise<ReadNote> {
    return this.#inTurn(async () => {
      const bytes = await readFile(this.#path).catch((thrown: unknown) => {
        if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw thrown;
      });
      if (bytes === null) return "missing";
      try {
        return parseHeadNote(bytes.toString("utf8"));
      } catch {
        return "unreadable";
      }
    });
  }

  /**
   * Replaces the note; on disk when it resolves. The file never has another length, so an overwrite changes no metadata.
   *
   * @param text - as {@link parseHeadNote} reads it, of at most 512 bytes.
   */
  write(text: string): Promise<void> {
    return this.#inTurn(async () => {
      const bytes = padded(text);
      this.#handle ??= await this.#openOrMake(bytes);
      await this.#handle.write(bytes, 0, HEAD_NOTE_LENGTH, 0);
      if (!SYNCS_ITSELF) await this.#handle.datasync();
    });
  }

  /** Lets the file go. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#handle?.close();
      this.#handle = null;
    });
  }

  async #openOrMake(bytes: Buffer): Promise<FileHandle> {
    try {
      return await open(this.#path, OPEN_FLAGS);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    }
    // Made under another name first: a file of this name is whole from its first moment.
    const draft = `${this.#path}.new`;
    const handle = await open(draft, "w");
    await handle.writeFile(bytes);
    await handle.datasync();
    await handle.close();
    await rename(draft, this.#path);
    await syncFolder(dirname(this.#path));
    return open(this.#path, OPEN_FLAGS);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function padded(text: string): Buffer {
  const length = Buffer.byteLength(text);
  if (length > HEAD_NOTE_LENGTH)
    throw new RangeError(`Writing a head note failed: it has ${length} bytes, expected 512.`);
  return Buffer.concat([Buffer.from(text), Buffer.alloc(HEAD_NOTE_LENGTH - length, "\n")]);
}
