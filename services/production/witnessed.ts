import type { RequestOf, ResponseOf } from "../../lib/contracts/operations.ts";
import type { CheckpointPublisher } from "../../lib/messaging/checkpoint-publisher.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import type { Checkpoints } from "../../lib/storage/book/checkpoints.ts";

type WitnessedOperation = "book-cosign" | "book-hold";

export type WitnessedHandlers = {
  [O in WitnessedOperation]: (body: RequestOf<"production", O>) => Promise<ResponseOf<"production", O>>;
};

/**
 * What the audit service, which has this book's checkpoints witnessed, hands over: cosignatures, and that somebody has
 * seen more of the book than it has. Production goes on without it.
 */
export function witnessedHandlers(o: {
  book: Pick<Book, "hold" | "logHead">;
  checkpoints: Pick<Checkpoints, "addCosignatures">;
  /** Null for a damaged book. */
  publisher: CheckpointPublisher | null;
  log: Logger;
}): WitnessedHandlers {
  return {
    async "book-cosign"({ size, lines }) {
      await o.checkpoints.addCosignatures(size, lines);
      await o.publisher?.republish();
      return null;
    },
    async "book-hold"({ behind }) {
      const { size } = o.book.logHead();
      if (behind === null || behind.size <= size) o.book.hold(null);
      else {
        const why = `it has ${size} records and ${behind.by} has seen ${behind.size}; put the newest back (rastro backup restore, or promote the standby), or rastro audit accept-loss --book production`;
        o.book.hold(why);
        o.log.error({ ...behind, has: size }, "somebody has seen more of the book than it has: it takes no records");
      }
      return null;
    },
  };
}
