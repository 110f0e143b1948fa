import type { BookName } from "../../../lib/contracts/names.ts";
import { type Checkpoint, parseCheckpoint, signedBy } from "../../../lib/ledger/checkpoint.ts";
import { formatNote, type VerifierKey } from "../../../lib/ledger/signed-note.ts";

/** Somebody has seen more of a log than it has: `by` says who, `size` how many records. */
export type Behind = { book: BookName; size: number; by: string };

/** A log as this service has it witnessed: the audit book here, and production's, which another process keeps. */
export interface WitnessedLog {
  readonly book: BookName;
  /** The newest checkpoint of which the log says that it is on its disk, with whatever cosignatures; null before one. */
  latest(): Checkpoint | null;
  /** Records that the log has now, of which not all need be under a checkpoint. @throws RastroError when it cannot be asked. */
  size(): Promise<number>;
  /** Called with each checkpoint that says something new. */
  onNew(listener: (checkpoint: Checkpoint) => void): void;
  /**
   * Proof that the log of `first` records is a beginning of that of `second` (RFC 9162 §2.1.4.1).
   * @throws RastroError when it cannot be had.
   */
  consistency(first: number, second: number): Promise<Buffer[]>;
  /** Keeps cosignatures, which the caller has verified, with the checkpoint over so many records, and shows them. */
  keepCosigned(size: number, lines: string): Promise<void>;
  /** The keys by which the log is known. */
  keys(): readonly VerifierKey[];
  /** Somebody has seen more records than the log has: it takes no more until {@link WitnessedLog.release}. */
  hold(behind: Behind): Promise<void>;
  /** Lets it go on from where it is. */
  release(): Promise<void>;
}

/** A checkpoint as its log signed it, without what others added. */
export function asSigned({ head, note }: Checkpoint): string {
  return formatNote({ ...note, signatures: note.signatures.filter(({ name }) => name === head.origin) });
}

/**
 * How many records a note proves that a log has had: those of its checkpoint, where one of the log's keys has signed it.
 *
 * @returns 0 for what proves nothing.
 */
export function provenSize(note: string | null, logKeys: readonly VerifierKey[]): number {
  if (note === null) return 0;
  try {
    const checkpoint = parseCheckpoint(note);
    return signedBy(checkpoint, logKeys).length === 0 ? 0 : checkpoint.head.size;
  } catch {
    return 0;
  }
}
