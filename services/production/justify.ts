import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event, Sealed } from "../../lib/contracts/events.ts";
import type { Justification } from "../../lib/contracts/production.ts";
import { type KeysOfPeople, sealReason, unsealReason } from "../../lib/storage/people/sealed-reason.ts";

/** A change's reason as it goes into the event, and what comparing it with that of an earlier event takes. */
export type Justified = {
  reason: Event["reason"];
  text: string | null;
  /** Synchronous, so that it can be used inside a stage. */
  unseal: (sealed: Sealed, eventId: string) => string | null;
};

/** Of a creation, which needs no reason. */
export const WITHOUT_REASON: Justified = { reason: null, text: null, unseal: () => null };

/**
 * Seals the text of a justification under the key of the person who gives it: free text says who somebody is, and
 * must be possible to erase. Whoever uses the hub's local key has such a key as well.
 *
 * @throws RastroError `not_allowed` for an actor who has no key; the directory's own errors when it cannot be asked.
 */
export async function justify(
  keys: KeysOfPeople,
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
    reason: { code, text: sealReason(person.key, sub, text, eventId) },
    text,
    unseal: (sealed, id) => (sealed.key === sub ? unsealReason(person.key, sealed, id) : null),
  };
}
