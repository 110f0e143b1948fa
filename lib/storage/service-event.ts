import type { Actor, Event, EventDraft } from "../contracts/events.ts";
import { canonicalText } from "../ledger/canonical.ts";
import type { RecordSignature } from "../ledger/record.ts";

/** A service as the author of events that it books itself. */
export type ServiceSelf = {
  /** Its registered name. */
  name: string;
  /** Software and version. */
  app: string;
  /** Null leaves its events unsigned; for tests. */
  sign: ((bytes: Uint8Array) => string) | null;
  /** Fingerprint of the key that signs. */
  key: string;
  /** IANA zone of the plant. */
  tz: string;
  now: () => number;
};

/** An event with what a book needs of it: its canonical text and its signature. */
export type MadeEvent = { event: Event; text: string; sig: RecordSignature | null };

/** What differs from event to event; the rest has defaults: the service as actor, its clock, no reason. */
export type ServiceEventInput = Pick<EventDraft, "id" | "type" | "obj" | "payload"> & Partial<EventDraft>;

/**
 * Builds and signs an event that a service books itself, without an outbox: what a person asked of it (`actor` is the
 * person then), or what it found out.
 *
 * @throws LedgerError `not-canonical` for a payload without canonical form.
 */
export function makeServiceEvent(self: ServiceSelf, input: ServiceEventInput): MadeEvent {
  const event: Event = {
    v: 1,
    at: new Date(self.now()).toISOString(),
    tz: self.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: serviceActor(self.name),
    reason: null,
    ...input,
    src: { name: self.name, app: self.app, outbox: null },
  };
  const text = canonicalText(event);
  const sig = self.sign === null ? null : { by: self.name, key: self.key, value: self.sign(Buffer.from(text)) };
  return { event, text, sig };
}

function serviceActor(name: string): Actor {
  return { sub: name, auth: "service" };
}
