import { toProblem } from "../../lib/contracts/errors.ts";
import type { OutboxDepth, OutboxReport } from "./summary.ts";

export type ReporterOptions = {
  outbox: { book: string; depth: () => OutboxDepth };
  /** The sender's last error; null while receipts come. */
  lastError: () => string | null;
};

/**
 * Tells what an outbox holds. While its store cannot be read (a full disk closes it) the last that was known is told
 * with the reason. An error of the past is left out once nothing waits.
 */
export function createOutboxReporter({ outbox, lastError }: ReporterOptions): () => OutboxReport {
  let depth = outbox.depth();
  return () => {
    const { book } = outbox;
    try {
      depth = outbox.depth();
      return { book, ...depth, lastError: depth.waiting === 0 ? null : lastError() };
    } catch (error) {
      return { book, ...depth, lastError: toProblem(error).message };
    }
  };
}
