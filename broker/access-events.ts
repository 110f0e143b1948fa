import type { ErrorCode } from "../lib/contracts/errors.ts";

/**
 * What the hub saw of somebody's access: `admitted` a connection that is in, `sign-in-refused` credentials that do not
 * fit, `connection-refused` a CONNECT that broke a rule, the others one packet. `subject` is the topic or filter.
 */
export type AccessEvent = {
  kind: "admitted" | "sign-in-refused" | "connection-refused" | "publish-refused" | "subscribe-refused";
  user: string | null;
  address: string;
  code: ErrorCode | null;
  subject: string | null;
};

/** Called synchronously on the hub's path: must return at once and not throw. */
export type OnAccess = (event: AccessEvent) => void;

/** What the hub counts since its start. Messages are PUBLISH packets; what the hub itself publishes is not received. */
export type HubCounters = {
  received: number;
  sent: number;
  refused: { signIn: number; connection: number; publish: number; subscribe: number };
};

export function newCounters(): HubCounters {
  return { received: 0, sent: 0, refused: { signIn: 0, connection: 0, publish: 0, subscribe: 0 } };
}
