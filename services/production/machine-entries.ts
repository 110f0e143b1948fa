import { z } from "zod";
import type { Principal } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event } from "../../lib/contracts/events.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { EntryFields } from "../../lib/contracts/production.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import { judgeCreation, type Names } from "./rules.ts";

type Added = LedgerRecord["added"];
/** How an event came: from which machine, when, and whether it bears that machine's signature. */
export type Arrival = { from: Principal; recv: string; unsigned: boolean };

const CreationPayload = z.strictObject({ fields: EntryFields });

/**
 * Judges an event that a machine vouches for. A refusal is not thrown: it is booked with its code, since the machine
 * has the only other copy and must be told for good (decision 16).
 */
export function judgeMachineEvent(names: Names, event: Event, arrival: Arrival): Added {
  const unsignedOnly: Added["flags"] = arrival.unsigned ? ["unsigned"] : [];
  const role = roleOf(names, event, arrival.from);
  try {
    const { fields } = creationOf(names, event, arrival.from);
    const judged = judgeCreation(names, arrival.from, { fields, at: event.at, ...arrival });
    return { result: "booked", code: null, role, ...judged };
  } catch (thrown) {
    if (!(thrown instanceof RastroError)) throw thrown;
    return { result: "refused", code: thrown.code, role, rev: null, before: null, after: null, flags: unsignedOnly };
  }
}

function creationOf(names: Names, event: Event, from: Principal): z.infer<typeof CreationPayload> {
  if (event.type !== "entry.created") {
    throw notAllowed(`a machine may create an entry, and ${from.name} sent ${event.type}`);
  }
  requireActor(names, event, from);
  if (event.obj.kind !== "entry" || event.obj.key !== event.id) {
    throw new RastroError({
      code: "schema",
      message: `Booking entry ${event.id} failed: obj is ${event.obj.kind} ${event.obj.key}; expected: the entry itself.`,
      field: "obj.key",
      given: event.obj.key,
      expected: event.id,
    });
  }
  return parseValue(CreationPayload, event.payload, `entry ${event.id} of ${from.name}`);
}

/** A machine speaks for itself or for a person who signed in at its station, and for nobody who could not enter. */
function requireActor(names: Names, event: Event, from: Principal): void {
  const { sub, auth } = event.actor;
  if (auth === "device") {
    if (sub !== from.name) throw notAllowed(`${from.name} named device ${sub} as the actor`);
    return;
  }
  if (auth !== "station" && auth !== "offline") throw notAllowed(`a machine cannot vouch for an actor by ${auth}`);
  const person = names.bySub(sub);
  if (person?.kind !== "person") {
    throw new RastroError({
      code: "unknown_name",
      message: `Booking entry ${event.id} failed: nobody has the id ${sub}.`,
    });
  }
  // Whoever was signed in when it happened may have left since; the pieces were made all the same, so `active` is not asked.
  const writers: readonly string[] = OPERATIONS.production["entry-add"].profiles;
  if (!writers.includes(person.profile)) throw notAllowed(`profile ${person.profile} may not make entries`);
}

/** The profile at the time of booking; null when nobody is known by the actor's id. */
function roleOf(names: Names, event: Event, from: Principal): string | null {
  return event.actor.auth === "device" ? from.profile : (names.bySub(event.actor.sub)?.profile ?? null);
}

function notAllowed(why: string): RastroError {
  return new RastroError({ code: "not_allowed", message: `Booking an event of a machine failed: ${why}.` });
}
