import { createHash } from "node:crypto";
import type { StationSession } from "../../lib/contracts/station.ts";
import type { Person } from "./sign-in.ts";

/** `hub-ended`: the hub has ended the session there, because somebody ended it, was locked or has another password. */
export type SessionEnd = "signed-out" | "expired" | "hub-ended" | "stopped";

/** `id` stands in records. */
export type OpenSession = { id: string; person: Person; since: number; used: number };

export interface StationSessions {
  /** @returns the token by which the session is found: 256 random bits, of which the SHA-256 is kept. */
  start(person: Person): { token: string; session: OpenSession };
  /** The live session of a token; notes the use. */
  find(token: string): OpenSession | null;
  list(): OpenSession[];
  end(session: OpenSession, why: SessionEnd): void;
  /** Ends what has not been used for long, in the moment in which it is called. */
  sweep(): void;
  view(session: OpenSession): StationSession;
}

/** More people at once than sign in at one PC; the one who was here longest ago has to sign in again. */
const MAXIMUM = 32;

/**
 * Who is signed in at the station, in memory alone: an agent that is started anew asks for the sign-in again, and no file
 * holds what lets somebody in.
 *
 * @param o.idleMs - a session that is not used for so long has ended.
 * @param o.onEnd - called once for each that ends.
 */
export function createSessions(o: {
  idleMs: number;
  now: () => number;
  random: (bytes: number) => Buffer;
  onEnd: (session: OpenSession, why: SessionEnd) => void;
}): StationSessions {
  const open = new Map<string, OpenSession>();
  const isOver = ({ used }: OpenSession) => o.now() - used >= o.idleMs;
  const end = (session: OpenSession, why: SessionEnd) => {
    for (const [key, one] of open) {
      if (one !== session) continue;
      open.delete(key);
      o.onEnd(session, why);
    }
  };
  const sweep = () => {
    for (const session of open.values()) if (isOver(session)) end(session, "expired");
  };
  return {
    start(person) {
      sweep();
      const [oldest] = [...open.values()].toSorted((one, other) => one.used - other.used);
      if (open.size >= MAXIMUM && oldest !== undefined) end(oldest, "expired");
      const token = o.random(32).toString("base64url");
      const session = { id: `s-${o.random(8).toString("hex")}`, person, since: o.now(), used: o.now() };
      open.set(digest(token), session);
      return { token, session };
    },
    find(token) {
      sweep();
      const session = open.get(digest(token));
      if (session === undefined) return null;
      session.used = o.now();
      return session;
    },
    list: () => [...open.values()],
    end,
    sweep,
    view: ({ person, since, used }) => ({
      user: person.user,
      profile: person.profile,
      auth: person.auth,
      since: new Date(since).toISOString(),
      until: new Date(used + o.idleMs).toISOString(),
    }),
  };
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
