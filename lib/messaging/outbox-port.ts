import type { Receipt } from "../contracts/events.ts";
import type { BookName } from "../contracts/names.ts";

/** `text`: the JSON of a `SignedEvent`, which goes out as it is. */
export type OutboxEntry = { dseq: number; id: string; text: string };

/** What a sender needs of an outbox; the one in `lib/storage` has this shape. */
export interface OutboxPort {
  readonly book: BookName;
  readonly epoch: string;
  /** The lowest dseq that can still be read. */
  floor(): number;
  /** The dseq of the newest event, if it is kept and none waits; else null. */
  newestSettled(): number | null;
  /** Events in order, waiting and settled alike, from `from` on; from the first that waits with null. At least one if there is any. */
  read(o: { from: number | null; maxEvents: number; maxBytes: number }): Promise<OutboxEntry[]>;
  /** Frees what the receipts are for, on disk when it resolves. Receipts of other events are ignored. */
  settle(receipts: Receipt[]): Promise<void>;
  /** Calls the listener after each write that added events. */
  onStaged(listener: () => void): void;
}
