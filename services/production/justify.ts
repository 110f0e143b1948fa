import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event, Sealed } from "../../lib/contracts/events.ts";
import type { Justification } from "../../lib/contracts/production.ts";
import { seal, unseal } from "../../lib/storage/sealing.ts";

/** The keys of people, which the directory keeps. Null for somebody who has none, or none any more. */
export type PersonKeys = { of(sub: string): Promise<{ key: Buffer } | null> };

/** A change's reason as it goes into the event, and what comparing it with that of an earlier event takes. */
export type Justified = {
  reason: Event["reason"];
  text: string | null;
  /** Synchronous, so that it can be used inside a stage. */
  unseal: (sealed: Sealed, eventId: string) => string | null;
};

/** Of a creation, which needs no reason. */
export const WITHOUT_REASON: Justified = { reason: null, text: null, unseal: () => null };

/** Where a reason's text lies in its event: part of what the sealed bytes are bound to, in every book alike. */
export function reasonPlace(eventId: string): string {
  return `${eventId}/reason`;
}

/**
 * Seals the text of a justification under the key of the person who gives it: free text says who somebody is, and
 * must be possible to erase. Whoever uses the hub's local key has such a key as well.
 *
 * @throws RastroError `not_allowed` for an actor who has no key; the directory's own errors when it cannot be asked.
 */
export async function justify(
  keys: PersonKeys,
  sub: string,
  eventId: string,
  { code, text }: Justification,
): Promise<Justified> {
  const person = await keys.of(sub);
  if (person === null) {
    throw new RastroError({
      code: "not_allowed",
      message: `Keeping the justification of event ${eventId} failed: its author has no key in the directory.`,
    });
  }
  return {
    reason: { code, text: seal(person.key, sub, text, reasonPlace(eventId)) },
    text,
    unseal: (sealed, id) => (sealed.key === sub ? unseal(person.key, sealed, reasonPlace(id)) : null),
  };
}

/** Reads the text of a reason for somebody who may read it; null when the person's key was destroyed. */
export function createReadText(keys: PersonKeys): (sealed: Sealed, eventId: string) => Promise<string | null> {
  return async (sealed, eventId) => {
    const person = await keys.of(sealed.key);
    return person && unseal(person.key, sealed, reasonPlace(eventId));
  };
}
