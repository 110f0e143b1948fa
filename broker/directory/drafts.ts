import type { Actor, EventDraft, EventType } from "../../lib/contracts/events.ts";
import type { z } from "zod";

/** Who made a change. The directory itself is the actor of what the first start does. */
export type By = z.infer<typeof Actor>;
export const BY_DIRECTORY: By = { sub: "directory", auth: "service" };

/** Makes the events that tell of changes. They carry ids only: a name would stay in the book for ever. */
export type Drafts = (type: EventType, by: By, obj: EventDraft["obj"], payload: EventDraft["payload"]) => EventDraft;

export function createDrafts(o: { now: () => number; newId: () => string; tz: string }): Drafts {
  return (type, actor, obj, payload) => ({
    id: o.newId(),
    type,
    at: new Date(o.now()).toISOString(),
    tz: o.tz,
    // How far the hub's clock is off is not measured here, and is not claimed.
    clock: { source: "unknown", offsetMs: null },
    actor,
    obj,
    reason: null,
    payload,
  });
}
