import { followRotations } from "../../lib/ledger/key-rotation.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";

/** By which keys a log is known. */
export type KnownKeys = {
  /** The newest of each row: from a change on, the log signs with the key that it changed to. */
  newest(): readonly VerifierKey[];
  /** Asks the log for the notes by which it has changed its key. @throws what asking throws; LedgerError `bad-note`. */
  learn(): Promise<void>;
};

/** Where the notes of a log are kept. */
type KeptRotations = {
  readonly rotations: readonly string[];
  keepRotations(rotations: readonly string[]): Promise<void>;
};

/**
 * Begins with the keys that were pinned when the standby joined, and follows the log's notes from there: each key has to
 * be named by the one before, so that whoever carries the notes cannot bring in another.
 */
export function knownKeys(o: {
  pinned: readonly VerifierKey[];
  kept: KeptRotations;
  /** The log's notes, the oldest first. */
  ask: () => Promise<readonly string[]>;
}): KnownKeys {
  let rows = rowsOf(o.pinned, o.kept.rotations);
  return {
    newest: () => rows.flatMap((row) => row.slice(-1)),
    async learn() {
      const rotations = await o.ask();
      const learned = rowsOf(o.pinned, rotations);
      // Fewer notes than before lead back to a key that the log has given up.
      if (learned.some((row, index) => row.length < (rows[index]?.length ?? 0))) return;
      await o.kept.keepRotations(rotations);
      rows = learned;
    },
  };
}

/** Every key that a log is known to have signed with. @throws LedgerError `bad-note`. */
export function everyKey(pinned: readonly VerifierKey[], rotations: readonly string[]): VerifierKey[] {
  return rowsOf(pinned, rotations).flat();
}

function rowsOf(pinned: readonly VerifierKey[], rotations: readonly string[]): VerifierKey[][] {
  return pinned.map((key) => followRotations(key, rotations));
}
