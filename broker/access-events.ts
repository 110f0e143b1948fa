import type { ErrorCode } from "../lib/contracts/errors.ts";
import { type MessageClass, newClassCounts } from "./message-classes.ts";
import type { EndedBecause } from "./live-connections.ts";

/**
 * What the hub saw of somebody's access: `admitted` a connection that is in, `taken-over` one that ended because the
 * same user came with the same client id, `sign-in-refused` credentials that do not fit, `connection-refused` a CONNECT
 * that broke a rule, `frame-refused` a connection ended for a frame beyond its bound, `too-slow` one ended because too
 * much waited for it, `disconnected` one that the hub ended because of what became of the session or the name,
 * `queue-dropped` a message that a persistent session was owed and will not get, `queue-ended` such a session whose
 * client stayed away too long, the others one packet. `subject` is the topic, the filter, or what was wrong.
 */
export type AccessEvent = {
  kind:
    | "admitted"
    | "taken-over"
    | "sign-in-refused"
    | "connection-refused"
    | "publish-refused"
    | "subscribe-refused"
    | "frame-refused"
    | "too-slow"
    | "disconnected"
    | "queue-dropped"
    | "queue-ended";
  user: string | null;
  address: string;
  code: ErrorCode | null;
  subject: string | null;
  /** What an admitted connection signed in with: a person's password or session, or a machine's or service's key. */
  by?: "password" | "session" | "key";
  /** Why a connection was `disconnected`. */
  why?: EndedBecause;
};

/** Called synchronously on the hub's path: must return at once and not throw. */
export type OnAccess = (event: AccessEvent) => void;

/**
 * What the hub counts since its start. Messages are PUBLISH packets; what the hub itself publishes is not received.
 * `skipped` and `dropped` are QoS 0 messages that a slow reader did not get: because a newer one of the topic took its
 * place, or because there was no place. `tooSlow` counts connections.
 */
export type HubCounters = {
  received: number;
  sent: number;
  skipped: number;
  dropped: number;
  tooSlow: number;
  /** `received` by what it is about, without what takes the status lane. */
  receivedBy: Record<MessageClass, number>;
  refused: { signIn: number; connection: number; publish: number; subscribe: number; frame: number };
};

export function newCounters(): HubCounters {
  const refused = { signIn: 0, connection: 0, publish: 0, subscribe: 0, frame: 0 };
  return { received: 0, sent: 0, skipped: 0, dropped: 0, tooSlow: 0, receivedBy: newClassCounts(), refused };
}

/** The same, counted before it is passed on. */
export function counting(counters: HubCounters, next: OnAccess | undefined): OnAccess {
  return (event) => {
    const column = COLUMN[event.kind];
    if (column !== undefined) counters.refused[column] += 1;
    if (event.kind === "too-slow") counters.tooSlow += 1;
    next?.(event);
  };
}

const COLUMN: Partial<Record<AccessEvent["kind"], keyof HubCounters["refused"]>> = {
  "sign-in-refused": "signIn",
  "connection-refused": "connection",
  "publish-refused": "publish",
  "subscribe-refused": "subscribe",
  "frame-refused": "frame",
};
