import { keys } from "../../broker/persistence/keys.ts";
import { decodeMessage } from "../../broker/persistence/stored-message.ts";
import { BookName } from "../../lib/contracts/names.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { type Checkpoint, parseCheckpoint, signedBy } from "../../lib/ledger/checkpoint.ts";
import { LedgerError } from "../../lib/ledger/error.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Store } from "../../lib/storage/store/store.ts";

const placeOf = (book: BookName) => keys.retained(topics.checkpoint(book));

/** The checkpoint of a book that the hub's store `sessions` has retained; null for none that the log has signed. */
export async function retainedCheckpoint(
  sessions: Pick<Store, "get">,
  book: BookName,
  logKeys: readonly VerifierKey[],
): Promise<Checkpoint | null> {
  return checkpointIn(await sessions.get(placeOf(book)), logKeys);
}

function checkpointIn(row: Buffer | undefined, logKeys: readonly VerifierKey[]): Checkpoint | null {
  const message = decodeMessage(row ?? Buffer.alloc(0));
  if (message === null) return null;
  try {
    const checkpoint = parseCheckpoint(message.payload.toString("utf8"));
    return signedBy(checkpoint, logKeys).length === 0 ? null : checkpoint;
  } catch (error) {
    if (error instanceof LedgerError) return null;
    throw error;
  }
}

/**
 * By the retained checkpoints a book knows at its start that it is behind. A restore of `sessions` must not take that
 * away: where what is in place has the larger one, it is carried over.
 *
 * @param o.present - the store that is there.
 * @returns what is to be done with the restored one.
 */
export async function carryCheckpoints(o: {
  present: Pick<Store, "get">;
  logKeys: (book: BookName) => Promise<readonly VerifierKey[]>;
}): Promise<(restored: Pick<Store, "get" | "write">) => Promise<void>> {
  const known = await Promise.all(
    BookName.options.map(async (book) => {
      const signers = await o.logKeys(book);
      // What cannot be read is no reason not to restore it.
      const row = await o.present.get(placeOf(book)).catch(() => undefined);
      return { book, signers, row, checkpoint: checkpointIn(row, signers) };
    }),
  );
  return async (restored) => {
    for (const { book, signers, row, checkpoint } of known) {
      const older = await retainedCheckpoint(restored, book, signers);
      if (row === undefined || checkpoint === null || checkpoint.head.size <= (older?.head.size ?? 0)) continue;
      await restored.write((tx) => tx.put(placeOf(book), row));
    }
  };
}
