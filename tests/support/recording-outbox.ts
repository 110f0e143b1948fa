import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";

/** A real outbox, and what was staged in it and reached the disk, in order. */
export function recording(outbox: Pick<Outbox, "stage">): { outbox: Pick<Outbox, "stage">; told: EventDraft[] } {
  const told: EventDraft[] = [];
  const stage: Outbox["stage"] = (tx, draft) => {
    tx.onCommit(() => void told.push(draft));
    return outbox.stage(tx, draft);
  };
  return { outbox: { stage }, told };
}
