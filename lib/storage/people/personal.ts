import { type Event, Sealed } from "../../contracts/events.ts";
import type { KeysOfPeople } from "./sealed-reason.ts";
import { unseal } from "./sealing.ts";

/** What of an event is sealed, by field; it opens at `<event id>/<field>`. */
export type SealedField = { field: string; sealed: Sealed };

/** What a person is called and from where somebody came, by field; null once the person was erased. */
export type Personal = Record<string, string | null>;

/** Every sealed text of an event: that of the reason, and those of the payload. */
export function sealedIn(event: Pick<Event, "reason" | "payload">): SealedField[] {
  const reason = event.reason?.text;
  return [...(reason ? [{ field: "reason", sealed: reason }] : []), ...sealedInPayload(event)];
}

function sealedInPayload({ payload }: Pick<Event, "payload">): SealedField[] {
  return Object.entries(payload).flatMap(([field, value]) => {
    const parsed = Sealed.safeParse(value);
    return parsed.success ? [{ field, sealed: parsed.data }] : [];
  });
}

/** Opens what an event's payload has sealed. For those alone who may see it. */
export function createPersonalReader(keys: KeysOfPeople): (event: Event) => Promise<Personal> {
  return async (event) => {
    const opened = sealedInPayload(event).map(async ({ field, sealed }) => {
      const person = await keys.of(sealed.key);
      return [field, person && unseal(person.key, sealed, `${event.id}/${field}`)] as const;
    });
    return Object.fromEntries(await Promise.all(opened));
  };
}
