import type { CheckpointPublisher } from "../../../lib/messaging/checkpoint-publisher.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { VerifierKey } from "../../../lib/ledger/signed-note.ts";
import { parseCheckpoint, type Checkpoint } from "../../../lib/ledger/checkpoint.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Book } from "../../../lib/storage/book/book.ts";
import type { Checkpoints } from "../../../lib/storage/book/checkpoints.ts";
import type { Gate } from "./gate.ts";
import type { WitnessedLog } from "./witnessed-log.ts";

/** Cosignatures that come within so long are shown together, ms. */
const GATHER_MS = 50;

/** The audit book as a log, in this process. `publishedBy` is said once there is a publisher. */
export function auditLog(o: {
  book: Book;
  checkpoints: Checkpoints;
  keys: () => readonly VerifierKey[];
  gate: Gate;
  after: After;
  log: Logger;
}): WitnessedLog & { publishedBy(publisher: CheckpointPublisher): void } {
  const listeners: ((checkpoint: Checkpoint) => void)[] = [];
  let publisher: CheckpointPublisher | null = null;
  let isGathering = false;

  function show(): void {
    if (publisher === null || isGathering) return;
    const { republish } = publisher;
    isGathering = true;
    o.after(GATHER_MS, () => {
      isGathering = false;
      republish().catch((error: unknown) => o.log.warn({ err: error }, "a cosigned checkpoint could not be told"));
    });
  }

  return {
    book: "audit",
    latest: () => o.checkpoints.latest()?.checkpoint ?? null,
    size: async () => o.book.logHead().size,
    onNew: (listener) => void listeners.push(listener),
    consistency: async (first, second) => o.book.consistency(first, second).map((hash) => Buffer.from(hash, "hex")),
    async keepCosigned(size, lines) {
      await o.checkpoints.addCosignatures(size, lines);
      show();
    },
    keys: o.keys,
    hold: (behind) => o.gate.shut(behind),
    release: () => o.gate.open(),
    publishedBy(told) {
      publisher = told;
      told.onTold((note) => listeners.forEach((listener) => listener(parseCheckpoint(note))));
    },
  };
}
