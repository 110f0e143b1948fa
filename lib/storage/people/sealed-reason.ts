import type { Sealed } from "../../contracts/events.ts";
import { seal, unseal } from "./sealing.ts";

/** Where keys of people come from: null for a key that was destroyed or never was. */
export type KeysOfPeople = { of(sub: string): Promise<{ key: Uint8Array } | null> };

/** The same, kept for a while. */
export type KeptKeysOfPeople = KeysOfPeople & {
  /** Keeps nothing of a key: its person was erased. */
  forget(sub: string): void;
};

/** Reads the text of an event's reason; null when the person's key was destroyed. */
export type ReadReason = (sealed: Sealed, eventId: string) => Promise<string | null>;

/** Seals the text of an event's reason. Every book that has the event, or tells of it, has the same sealed bytes. */
export function sealReason(key: Uint8Array, sub: string, text: string, eventId: string): Sealed {
  return seal(key, sub, text, placeOf(eventId));
}

/** As {@link ReadReason} with the key at hand. */
export function unsealReason(key: Uint8Array, sealed: Sealed, eventId: string): string | null {
  return unseal(key, sealed, placeOf(eventId));
}

export function createReasonReader(keys: KeysOfPeople): ReadReason {
  return async (sealed, eventId) => {
    const person = await keys.of(sealed.key);
    return person && unsealReason(person.key, sealed, eventId);
  };
}

function placeOf(eventId: string): string {
  return `${eventId}/reason`;
}
