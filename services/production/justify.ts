import type { Event, Sealed } from "../../lib/contracts/events.ts";
import type { Justification } from "../../lib/contracts/production.ts";
import { seal, unseal } from "../../lib/storage/sealing.ts";

/** Keys of people, from the directory; null for somebody whose key was destroyed or never was. */
export type PersonKeys = { of(sub: string): Promise<Buffer | null> };

/** A change's reason as it goes into the event, and what comparing it with an earlier one takes. */
export type Justified = {
  reason: NonNullable<Event["reason"]>;
  text: string | null;
  unseal: (sealed: Sealed) => string | null;
};

export const WITHOUT_REASON: Omit<Justified, "reason"> & { reason: null } = { reason: null, text: null, unseal: () => null };
