import type { KeyObject } from "node:crypto";
import { RastroError } from "../../contracts/errors.ts";
import type { LogHead } from "./book.ts";
import { type Checkpoint, parseCheckpoint, signCheckpoint, signedBy } from "../../ledger/checkpoint.ts";
import { noteKeyId, type VerifierKey } from "../../ledger/signed-note.ts";
import { CHECKPOINTS, keys, readU64, u64 } from "../keys.ts";
import type { Store } from "../store/store.ts";

/** All of so young an age are kept, ms; of the older ones the last of each hour. */
const ALL_KEPT_MS = 60 * 60_000;
const HOUR_MS = 60 * 60_000;

/** The keys of a log as its own service has them. */
export type LogSigner = {
  /** Those that sign, the one in use first; a second one while a rotation lasts. */
  privateKeys: () => readonly KeyObject[];
  /** The public parts of all that ever signed. */
  known: () => readonly VerifierKey[];
};

/** A checkpoint as it is kept: its text, with the cosignatures that have come in. */
export type KeptCheckpoint = { note: string; checkpoint: Checkpoint; madeAt: number };

/**
 * The checkpoints of one book, in its store. One is on disk before anybody is shown it: what was signed once must never
 * be contradicted, also not after a crash.
 */
export class Checkpoints {
  readonly #store: Store;
  readonly #head: () => LogHead;
  readonly #signer: LogSigner;
  readonly #now: () => number;
  readonly #isHeld: () => boolean;
  #latest: KeptCheckpoint | null;
  /** Ids of the keys by which the newest one is known to be signed: what comes from the disk is verified once. */
  #latestSignedBy: readonly number[];
  #lastAdded: Promise<unknown> = Promise.resolve();

  private constructor(o: CheckpointsOptions, latest: KeptCheckpoint | null) {
    this.#store = o.store;
    this.#head = o.head;
    this.#signer = o.signer;
    this.#now = o.now;
    this.#isHeld = o.isHeld ?? (() => false);
    this.#latest = latest;
    this.#latestSignedBy = latest === null ? [] : keyIdsIn(latest, o.signer.known());
  }

  static async open(o: CheckpointsOptions): Promise<Checkpoints> {
    for await (const [, value] of o.store.range({ ...CHECKPOINTS, reverse: true, limit: 1 })) {
      return new Checkpoints(o, decodeKept(value));
    }
    return new Checkpoints(o, null);
  }

  /** The newest one; null before the first. */
  latest(): KeptCheckpoint | null {
    return this.#latest;
  }

  /** The one over exactly so many records; null where there is none. */
  at(size: number): KeptCheckpoint | null {
    const value = this.#store.getNow(keys.checkpoint(size));
    return value === undefined ? null : decodeKept(value);
  }

  /** All that are kept, the oldest first. */
  async *all(): AsyncGenerator<KeptCheckpoint, void, undefined> {
    for await (const [, value] of this.#store.range(CHECKPOINTS)) yield decodeKept(value);
  }

  /**
   * Signs the book as it is on disk now, unless the newest checkpoint says the same with the keys of now. A book that is
   * held back, since somebody has seen more of it, is not signed.
   *
   * @returns the newest checkpoint, and whether it is another than before.
   * @throws RastroError `store_unusable`; `book_behind` for a book that is held back and was never signed.
   */
  async issue(): Promise<KeptCheckpoint & { isNew: boolean }> {
    if (this.#isHeld()) return { ...this.#latestOrRefuse(), isNew: false };
    const head = this.#head();
    if (this.#latest !== null && this.#says(this.#latest, head)) return { ...this.#latest, isNew: false };
    const signers = this.#signer.privateKeys();
    const note = signCheckpoint(head, signers);
    const made = { note, checkpoint: parseCheckpoint(note), madeAt: this.#now() };
    await this.#keep(made);
    this.#latest = made;
    this.#latestSignedBy = keyIdsOf(head.origin, signers);
    return { ...made, isNew: true };
  }

  /**
   * Adds cosignatures to the checkpoint over so many records; those that it has already stay. Nothing happens when that
   * one is no longer kept.
   *
   * @param lines - signature lines, which the caller has verified.
   */
  addCosignatures(size: number, lines: string): Promise<KeptCheckpoint | null> {
    // One after the other: each adds to what the one before has kept.
    const turn = this.#lastAdded.then(() => this.#add(size, lines));
    this.#lastAdded = turn.catch(() => undefined);
    return turn;
  }

  async #add(size: number, lines: string): Promise<KeptCheckpoint | null> {
    const kept = this.#latest?.checkpoint.head.size === size ? this.#latest : this.at(size);
    if (kept === null) return null;
    const note = withLines(kept.note, lines);
    const cosigned = { ...kept, note, checkpoint: parseCheckpoint(note) };
    await this.#keep(cosigned);
    if (this.#latest?.checkpoint.head.size === size) this.#latest = cosigned;
    return cosigned;
  }

  /** Lets go of most of the old ones: of each hour the last is kept. */
  async prune(): Promise<void> {
    const oldest = this.#now() - ALL_KEPT_MS;
    const gone: Buffer[] = [];
    let before: { key: Buffer; hour: number } | null = null;
    for await (const [key, value] of this.#store.range(CHECKPOINTS)) {
      const madeAt = readU64(value);
      if (madeAt > oldest) break;
      const hour = Math.floor(madeAt / HOUR_MS);
      if (before !== null && before.hour === hour) gone.push(before.key);
      before = { key, hour };
    }
    if (gone.length > 0) await this.#store.writePatiently((tx) => gone.forEach((key) => tx.del(key)));
  }

  #latestOrRefuse(): KeptCheckpoint {
    if (this.#latest !== null) return this.#latest;
    const message = "Signing a checkpoint failed: somebody has seen more of the book than it has.";
    throw new RastroError({ code: "book_behind", message });
  }

  #says(kept: KeptCheckpoint, head: LogHead): boolean {
    const { head: said } = kept.checkpoint;
    if (said.size !== head.size || !said.root.equals(head.root)) return false;
    const keysOfNow = keyIdsOf(head.origin, this.#signer.privateKeys());
    return (
      keysOfNow.length === this.#latestSignedBy.length && keysOfNow.every((id) => this.#latestSignedBy.includes(id))
    );
  }

  #keep(kept: KeptCheckpoint): Promise<void> {
    return this.#store.write((tx) => tx.put(keys.checkpoint(kept.checkpoint.head.size), encodeKept(kept)));
  }
}

export type CheckpointsOptions = {
  store: Store;
  head: () => LogHead;
  signer: LogSigner;
  isHeld?: () => boolean;
  now: () => number;
};

/** What lies under a checkpoint's key. */
export function encodeKept({ note, madeAt }: Pick<KeptCheckpoint, "note" | "madeAt">): Buffer {
  return Buffer.concat([u64(madeAt), Buffer.from(note)]);
}

/** Reads what {@link encodeKept} wrote. */
export function decodeKept(value: Buffer): KeptCheckpoint {
  const note = value.toString("utf8", 8);
  return { note, checkpoint: parseCheckpoint(note), madeAt: readU64(value) };
}

function keyIdsOf(origin: string, privateKeys: readonly KeyObject[]): number[] {
  return privateKeys.map((key) => noteKeyId(origin, key));
}

/** Of the known keys that signed it, and all of whose signatures fit. */
function keyIdsIn({ checkpoint }: KeptCheckpoint, known: readonly VerifierKey[]): number[] {
  return signedBy(checkpoint, known).map(({ keyId }) => keyId);
}

/** A later cosignature of one key takes the place of its earlier one. */
function withLines(note: string, lines: string): string {
  const [text, signatures] = splitNote(note);
  const added = lines.split("\n").filter((line) => line !== "");
  const replaced = new Set(added.map(keyOfLine));
  const kept = signatures.filter((line) => !replaced.has(keyOfLine(line)));
  return `${text}\n\n${[...kept, ...added].map((line) => `${line}\n`).join("")}`;
}

function splitNote(note: string): [string, string[]] {
  const end = note.lastIndexOf("\n\n");
  return [
    note.slice(0, end),
    note
      .slice(end + 2)
      .split("\n")
      .filter((line) => line !== ""),
  ];
}

/** A key by its name and its id, the first four bytes of what it says. */
function keyOfLine(line: string): string {
  const [, name = "", encoded = ""] = line.split(" ");
  return `${name} ${Buffer.from(encoded, "base64").toString("hex", 0, 4)}`;
}
