import type { Actor, Event, EventDraft } from "../../../lib/contracts/events.ts";
import type { ServiceSelf } from "../../../lib/storage/book/service-event.ts";

/** Who tells, and by which clock. */
export type Teller = { self: Pick<ServiceSelf, "name" | "tz" | "now">; newId: () => string };

/** An event of this service, or of the person who asked for it. */
export function draftOf(
  { self, newId }: Teller,
  told: Pick<EventDraft, "type" | "obj" | "payload">,
  by: { id: string; actor: Actor; reason: Event["reason"] } | null = null,
): EventDraft {
  return {
    id: by?.id ?? newId(),
    at: new Date(self.now()).toISOString(),
    tz: self.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: by?.actor ?? { sub: self.name, auth: "service" },
    reason: by?.reason ?? null,
    ...told,
  };
}
