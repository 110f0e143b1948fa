/** What one session may keep; beyond it the oldest messages go. */
export type QueueLimits = {
  messages: number;
  /** Of topics and payloads. */
  bytes: number;
  /** How old a message may become, ms. */
  ageMs: number;
};

/** What is kept for a session that is away, and for how long. */
export type SessionLimits = QueueLimits & {
  /** A session ends so long after its client was last connected; ms. */
  expiryMs: number;
};

const DAY = 24 * 60 * 60_000;

export const SESSION_LIMITS: SessionLimits = {
  messages: 10_000,
  bytes: 16 * 1024 * 1024,
  ageMs: 7 * DAY,
  expiryMs: 7 * DAY,
};

/** Why messages that a session was owed are gone; `session`: it ended, with everything that it was owed. */
export type DropCause = "messages" | "bytes" | "age" | "session";

/** Messages that a session will not get. */
export type DropReport = { client: string; cause: DropCause; count: number };

/** What a session may have; nothing is kept for it that is not covered. */
export type Rights = { maySubscribe(filter: string): boolean; mayReceive(topic: string): boolean };
