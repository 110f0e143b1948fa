import type { Actor, Event, EventDraft } from "../../contracts/events.ts";
import { canonicalText } from "../../ledger/canonical.ts";
import type { RecordSignature } from "../../ledger/record.ts";

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
  const { event, text } = writeEvent(self, input);
  return { event, text, sig: self.sign === null ? null : signatureOf(self, self.sign(Buffer.from(text))) };
}

/** As {@link makeServiceEvent}, signed by a function that need not answer at once. */
export async function makeServiceEventAside(
  self: ServiceSelf,
  input: ServiceEventInput,
  sign: (bytes: Uint8Array) => string | Promise<string>,
): Promise<MadeEvent> {
  const { event, text } = writeEvent(self, input);
  return { event, text, sig: signatureOf(self, await sign(Buffer.from(text))) };
}

function writeEvent(self: ServiceSelf, input: ServiceEventInput): { event: Event; text: string } {
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
  return { event, text: canonicalText(event) };
}

function signatureOf({ name, key }: ServiceSelf, value: string): RecordSignature {
  return { by: name, key, value };
}

function serviceActor(name: string): Actor {
  return { sub: name, auth: "service" };
}
