import type { KeyObject } from "node:crypto";
import { signCheckpoint } from "../../ledger/checkpoint.ts";
import { formatHeadNote } from "../../ledger/head-note.ts";
import { noteKeyId } from "../../ledger/signed-note.ts";
import { type Range, rootOf } from "../../ledger/tree.ts";
import type { LogSigner } from "./checkpoints.ts";
import { NoteFile, type ReadNote } from "./note-file.ts";

/** The head note of a book that is in use, kept up with it. */
export class KeptNote {
  readonly #file: NoteFile;
  readonly #origin: string;
  readonly #signer: LogSigner | null;
  /** What the keys are called in a note: to work that out takes longer than to sign. */
  readonly #keyIds = new Map<KeyObject, number>();
  /** The size that the file has; -1 where it has to be written whatever the book's size. */
  #size = -1;
  /** Times that the keys have changed: what was signed before then is signed again. */
  #signings = 0;

  /** @param o.signer - null leaves the note unsigned; for tests. */
  constructor(o: { path: string; origin: string; signer: LogSigner | null }) {
    this.#file = new NoteFile(o.path);
    this.#origin = o.origin;
    this.#signer = o.signer;
  }

  /** What the file says, from which on it is kept up. */
  async open(): Promise<ReadNote> {
    const note = await this.#file.read();
    if (typeof note === "object") this.#size = note.size;
    return note;
  }

  /** What the file says now. */
  read(): Promise<ReadNote> {
    return this.#file.read();
  }

  /**
   * Makes the note of a book that has so many records, which takes as long as some appends.
   *
   * @returns what writes it: to be called once they are on disk, and done when the note is.
   */
  prepare(range: Range): () => Promise<void> {
    if (range.size === this.#size) return async () => undefined;
    const text = this.#textFor(range);
    const signings = this.#signings;
    return async () => {
      await this.#file.write(signings === this.#signings ? text : this.#textFor(range));
      this.#size = range.size;
    };
  }

  /** Writes the note again, with the keys of now. On disk when it resolves. */
  signAnew(range: Range): Promise<void> {
    this.#size = -1;
    this.#signings += 1;
    return this.prepare(range)();
  }

  /** Lets the file go. */
  close(): Promise<void> {
    return this.#file.close();
  }

  #textFor(range: Range): string {
    const head = { origin: this.#origin, size: range.size, root: rootOf(range) };
    if (this.#signer === null) return formatHeadNote(head);
    return signCheckpoint(head, this.#signer.privateKeys(), (key) => this.#keyIdOf(key));
  }

  #keyIdOf(privateKey: KeyObject): number {
    const known = this.#keyIds.get(privateKey) ?? noteKeyId(this.#origin, privateKey);
    this.#keyIds.set(privateKey, known);
    return known;
  }
}
