import type { Principal } from "../../lib/contracts/directory.ts";
import type { Event } from "../../lib/contracts/events.ts";
import type { RecordAdded } from "../../lib/ledger/record.ts";
import { mayTell } from "./tellers.ts";

/**
 * What the book of everything adds to an event that arrived: whether the sender had any business to tell it, and the
 * role of the actor. A refusal stands in the book with its event, since an attempt is worth knowing of.
 */
export function judgeTelling(
  roleOf: (sub: string) => string | null,
  event: Event,
  arrival: { from: Principal; unsigned: boolean },
): RecordAdded {
  const allowed = mayTell(arrival.from, event);
  return {
    result: allowed ? "booked" : "refused",
    code: allowed ? null : "not_allowed",
    role: roleAtTheTime(roleOf, event),
    rev: null,
    before: null,
    after: null,
    flags: arrival.unsigned ? ["unsigned"] : [],
  };
}

/** A book that booked in an actor's name has noted the role already; the profile may have changed on the way here. */
function roleAtTheTime(roleOf: (sub: string) => string | null, event: Event): string | null {
  const told = event.payload["role"];
  return event.type === "record.booked" && typeof told === "string" ? told : roleOf(event.actor.sub);
}
