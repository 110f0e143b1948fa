import { type Checkpoint, parseCheckpoint, signedBy } from "../../../lib/ledger/checkpoint.ts";
import type { VerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { Requester } from "../../../lib/messaging/request-client.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import { asSigned, type Behind, type WitnessedLog } from "./witnessed-log.ts";

const BOOK = "production";
/** Key of the largest checkpoint that was seen: this service is a witness of production's log itself. */
export const PRODUCTION_SEEN: Buffer = Buffer.from("s/production-checkpoint");
const NAME = "the audit service";

/**
 * The production book as a log: its checkpoints as they are told, its proofs as its service gives them. What its own
 * keys have not signed is not taken, whoever tells it.
 *
 * @param o.readKeys - the log's keys as they lie on the hub's disk now.
 */
export async function productionLog(o: {
  store: Store;
  ask: Requester;
  readKeys: () => Promise<readonly VerifierKey[]>;
  /** So many records of the book are known to be gone: who has seen no more says nothing new. */
  accepted: () => number;
  onBehind: (behind: Behind) => Promise<void>;
  log: Logger;
}): Promise<WitnessedLog & { told(note: string): Promise<void> }> {
  const listeners: ((checkpoint: Checkpoint) => void)[] = [];
  let keys = await o.readKeys().catch(() => []);
  let largest = readLargest(await o.store.get(PRODUCTION_SEEN));
  let latest: Checkpoint | null = null;
  let last: Promise<void> = Promise.resolve();

  const size = async () => (await o.ask.call(BOOK, "book-head", {})).size;

  async function take(note: string): Promise<void> {
    const checkpoint = parseCheckpoint(note);
    keys = await o.readKeys();
    if (signedBy(checkpoint, keys).length === 0) throw new Error("no known key of the log has signed it");
    if (largest !== null && checkpoint.head.size < largest.head.size) return takeSmaller(checkpoint, largest);
    const isNew = latest?.note.text !== checkpoint.note.text;
    latest = checkpoint;
    if (largest === null || checkpoint.head.size > largest.head.size) await keepLargest(checkpoint);
    if (isNew) for (const listener of listeners) listener(checkpoint);
  }

  async function keepLargest(checkpoint: Checkpoint): Promise<void> {
    largest = checkpoint;
    await o.store.writePatiently((tx) => tx.put(PRODUCTION_SEEN, Buffer.from(asSigned(checkpoint))));
  }

  /** The hub may have kept an older one than it told before; the log itself has the last word. */
  async function takeSmaller(checkpoint: Checkpoint, { head }: Checkpoint): Promise<void> {
    latest = checkpoint;
    if ((await size()) >= head.size) return;
    // It goes on from here, and is to be held to that.
    if (head.size <= o.accepted()) await keepLargest(checkpoint);
    else await o.onBehind({ book: BOOK, size: head.size, by: NAME });
  }

  return {
    book: BOOK,
    latest: () => latest,
    size,
    onNew: (listener) => void listeners.push(listener),
    async consistency(first, second) {
      if (first === 0 || first === second) return [];
      const { path } = await o.ask.call(BOOK, "book-consistency", { first, second });
      return path.map((hash) => Buffer.from(hash, "hex"));
    },
    async keepCosigned(size, lines) {
      await o.ask.call(BOOK, "book-cosign", { size, lines });
    },
    keys: () => keys,
    async hold({ size, by }) {
      await o.ask.call(BOOK, "book-hold", { behind: { size, by } });
    },
    async release() {
      if (latest !== null) await keepLargest(latest);
      await o.ask.call(BOOK, "book-hold", { behind: null });
    },
    told(note) {
      last = last
        .then(() => take(note))
        .catch((error: unknown) => o.log.warn({ err: error }, "a checkpoint of production is not taken"));
      return last;
    },
  };
}

function readLargest(bytes: Buffer | undefined): Checkpoint | null {
  return bytes === undefined ? null : parseCheckpoint(bytes.toString("utf8"));
}
