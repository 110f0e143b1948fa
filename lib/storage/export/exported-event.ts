import type { Actor, EventDraft } from "../../contracts/events.ts";
import type { ExportBegun, ExportRequest } from "../../contracts/export.ts";

/** What goes on record of an export: who took what out, by which filter, how many records of how large a book. */
export function exportedEvent(o: {
  begun: Omit<ExportBegun, "onRecord" | "checkpoint">;
  request: Pick<ExportRequest, "format" | "names">;
  actor: Actor;
  tz: string;
}): EventDraft {
  const { id, book, size, root, filter, madeAt, count } = o.begun;
  const { format, names } = o.request;
  return {
    id,
    type: "book.exported",
    at: madeAt,
    tz: o.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: o.actor,
    obj: { kind: "book", key: book },
    reason: null,
    payload: { filter, size, root, count, format, names },
  };
}
