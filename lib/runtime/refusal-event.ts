import type { Principal } from "../contracts/directory.ts";
import { LOCAL_ADMIN } from "../contracts/directory.ts";
import type { ErrorCode } from "../contracts/errors.ts";
import type { Actor, EventDraft } from "../contracts/events.ts";
import { parseRequest } from "../contracts/topics.ts";
import { createRefusals, type Refusal, type RefusalReport } from "./refusals.ts";

/** Stands for somebody whom the directory does not know, or for many at once. */
const NOBODY = "unknown";

/** What was refused, and the name that the broker vouches for. */
export type RefusedMessage = { topic: string; from: string; code: ErrorCode };

/**
 * Puts on record what a service refuses: in counts, so that a flood of it stays a record a minute.
 *
 * @param o.tell - brings an event to the audit book; its failure goes to `onFault`.
 */
export function recordRefusals(o: {
  names: { byName(name: string): Principal | undefined; bySub(sub: string): Principal | undefined };
  service: { name: string; tz: string; now: () => number };
  newId: () => string;
  tell: (event: EventDraft) => Promise<void>;
  onFault: (error: unknown) => void;
}): {
  onRefused: (refused: RefusedMessage) => void;
  /** Resolves when the last counts are told. */ close(): Promise<void>;
} {
  const { name, tz, now } = o.service;
  let telling: Promise<void> = Promise.resolve();
  const emit = (report: RefusalReport) => {
    const event = refusalEvent({
      report,
      principalOf: (sub) => o.names.bySub(sub),
      service: name,
      id: o.newId(),
      now: now(),
      tz,
    });
    const told = o.tell(event).catch(o.onFault);
    telling = telling.then(() => told);
  };
  const refusals = createRefusals({ emit, now });
  return {
    onRefused: (refused) => refusals.note(refusalOf((from) => o.names.byName(from), refused)),
    close() {
      refusals.close();
      return telling;
    },
  };
}

/**
 * A refused message as it is counted: without the login that a person's topic carries, since names never enter a
 * record; `from` is the name that the broker vouches for.
 */
export function refusalOf(principalOf: (name: string) => Principal | undefined, refused: RefusedMessage): Refusal {
  const request = parseRequest(refused.topic);
  const sub = principalOf(refused.from)?.sub ?? NOBODY;
  const detail = request === null ? refused.topic : `requests/${request.service}/${request.operation}`;
  return { principal: sub, address: null, code: refused.code, detail };
}

/**
 * What audit is told of refusals of one kind: `request.refused` for what a person asked, `message.refused` for what a
 * machine or service sent. Neither the message nor its bytes are in it: both may hold anything. The log has them.
 *
 * @param o.service - the service that refused; the actor where nobody else can be named.
 */
export function refusalEvent(o: {
  report: RefusalReport;
  principalOf: (sub: string) => Principal | undefined;
  service: string;
  id: string;
  now: number;
  tz: string;
}): EventDraft {
  const { code, count, detail, from, to } = o.report;
  const asked = detail.startsWith("requests/");
  return {
    id: o.id,
    type: asked ? "request.refused" : "message.refused",
    at: instant(o.now),
    tz: o.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: actorOf(o.principalOf(o.report.principal), o.service),
    obj: { kind: asked ? "operation" : "topic", key: detail.slice(0, 128) },
    reason: null,
    payload: { by: o.service, code, count, first: instant(from), last: instant(to) },
  };
}

/** Whoever is known as the actor; the service itself where nobody is. */
export function actorOf(principal: Principal | undefined, service: string): Actor {
  if (principal === undefined) return { sub: service, auth: "service" };
  if (principal.kind === "person")
    return { sub: principal.sub, auth: principal.name === LOCAL_ADMIN ? "local" : "session" };
  return { sub: principal.name, auth: principal.kind === "machine" ? "device" : "service" };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
