import type { Actor, Event } from "../../lib/contracts/events.ts";
import type { RequestOf } from "../../lib/contracts/operations.ts";
import type { EntryFields } from "../../lib/contracts/production.ts";

/** Who the service is that writes an event for a person: `src` of the event, with no outbox since it books in place. */
export type Self = { name: string; app: string; tz: string };

type Reason = Event["reason"];

/** The event of a creation that a person asked for. Its id is the entry's; its time and zone are the person's word. */
export function creationEvent(self: Self, actor: Actor, request: RequestOf<"production", "entry-add">): Event {
  return {
    ...frame(self, actor, request.id, request.id),
    type: "entry.created",
    at: request.at,
    tz: request.tz,
    reason: null,
    payload: { fields: request.fields },
  };
}

/** The event of a correction. `payload.at` is there when the time of the entry is corrected as well. */
export function correctionEvent(
  self: Self,
  actor: Actor,
  o: { id: string; event: string; now: string; fields: EntryFields; at: string | null; reason: Reason },
): Event {
  return {
    ...frame(self, actor, o.id, o.event),
    type: "entry.corrected",
    at: o.now,
    reason: o.reason,
    payload: o.at === null ? { fields: o.fields } : { fields: o.fields, at: o.at },
  };
}

export function voidEvent(
  self: Self,
  actor: Actor,
  o: { id: string; event: string; now: string; reason: Reason },
): Event {
  return { ...frame(self, actor, o.id, o.event), type: "entry.voided", at: o.now, reason: o.reason, payload: {} };
}

/** The clock is the asker's for a creation and this host's else; neither is checked against a reference here. */
function frame(self: Self, actor: Actor, entry: string, id: string) {
  return {
    v: 1 as const,
    id,
    tz: self.tz,
    clock: { source: "unknown" as const, offsetMs: null },
    actor,
    src: { name: self.name, app: self.app, outbox: null },
    obj: { kind: "entry", key: entry },
  };
}
