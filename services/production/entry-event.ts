import type { Actor, Event } from "../../lib/contracts/events.ts";
import type { RequestOf } from "../../lib/contracts/operations.ts";
import type { EntryFields } from "../../lib/contracts/production.ts";
import type { ServiceEventInput } from "../../lib/storage/book/service-event.ts";

/*
 * What the service writes in the name of a person who asks it for a change. Where nothing else is said, the time, the
 * zone and the clock are the service's own.
 */

/** A creation. Its id is the entry's; its time and zone are the person's word. */
export function creationEvent(actor: Actor, request: RequestOf<"production", "entry-add">): ServiceEventInput {
  const { id, at, tz, fields } = request;
  return { id, type: "entry.created", at, tz, actor, obj: entryOf(id), payload: { fields } };
}

/** A correction. `payload.at` is there when the time of the entry is corrected as well. */
export function correctionEvent(
  actor: Actor,
  o: { id: string; event: string; fields: EntryFields; at: string | null; reason: Event["reason"] },
): ServiceEventInput {
  const payload: Event["payload"] = o.at === null ? { fields: o.fields } : { fields: o.fields, at: o.at };
  return { id: o.event, type: "entry.corrected", actor, obj: entryOf(o.id), reason: o.reason, payload };
}

export function voidEvent(actor: Actor, o: { id: string; event: string; reason: Event["reason"] }): ServiceEventInput {
  return { id: o.event, type: "entry.voided", actor, obj: entryOf(o.id), reason: o.reason, payload: {} };
}

function entryOf(id: string): Event["obj"] {
  return { kind: "entry", key: id };
}
