import type { z } from "zod";
import type { Principal, SessionEndRequest, SessionRow, SessionsEnded } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { LiveConnection } from "../live-connections.ts";
import type { Directory } from "./directory.ts";
import type { By } from "./drafts.ts";
import type { SessionRecord } from "./records.ts";

/** As much of a hub as the list of sessions needs; a directory that runs alone has none. */
export type ConnectionsPort = {
  live(): LiveConnection[];
  disconnect(which: (connection: LiveConnection) => boolean, why: "session-ended"): number;
};

/** Who asks, and in which session. */
export type Asking = { principal: Principal; by: By; session: string | null };

/** Who is signed in, for people to look at and to end. Administrators see everybody, others themselves. */
export interface OpenSessions {
  /** @param user - only this person's. @throws RastroError `not_allowed`. */
  list(asking: Asking, user: string | null): SessionRow[];
  /** @throws RastroError `not_allowed`, `unknown_session`, `unknown_name`. */
  end(asking: Asking, wanted: z.infer<typeof SessionEndRequest>): Promise<z.infer<typeof SessionsEnded>>;
}

export function openSessionsOf(o: {
  directory: Pick<Directory, "sessions" | "register">;
  connections: ConnectionsPort;
  now: () => number;
}): OpenSessions {
  const { sessions, register } = o.directory;

  function rowOf(record: SessionRecord, asking: Asking, live: LiveConnection[]): SessionRow {
    const open = live.filter(({ session }) => session === record.session);
    const last = sessions.addressOf(record.session);
    const addresses = open.length > 0 ? distinct(open.map(({ address }) => address)) : last === undefined ? [] : [last];
    return {
      session: record.session,
      user: record.user,
      profile: register.principal(record.user)?.profile ?? "operator",
      app: record.app,
      auth: record.auth,
      since: record.createdAt,
      lastSeen: open.length > 0 ? instant(o.now()) : record.lastSeen,
      expiresAt: record.expiresAt,
      addresses,
      clients: open.map(({ client }) => client),
      connected: open.length > 0,
      current: record.session === asking.session,
    };
  }

  /** MQTT Explorer and the like sign in with the password each time: nothing of them is left once they are gone. */
  function withoutSession(live: LiveConnection[], user: string): SessionRow | null {
    const open = live.filter((connection) => connection.user === user && connection.session === null);
    const principal = register.principal(user);
    if (open.length === 0 || principal?.kind !== "person") return null;
    return {
      session: null,
      user,
      profile: principal.profile,
      app: null,
      auth: "password",
      since: instant(Math.min(...open.map(({ since }) => since))),
      lastSeen: instant(o.now()),
      expiresAt: null,
      addresses: distinct(open.map(({ address }) => address)),
      clients: open.map(({ client }) => client),
      connected: true,
      current: false,
    };
  }

  return {
    list(asking, user) {
      const own = asking.principal.name;
      if (user !== null && user !== own) requireAdministrator(asking, "listing somebody else's sessions");
      const wanted = user ?? (isAdministrator(asking) ? null : own);
      const live = o.connections.live();
      const records = sessions.list().filter((record) => wanted === null || record.user === wanted);
      const users = wanted === null ? distinct(live.map((connection) => connection.user)) : [wanted];
      return [
        ...records.map((record) => rowOf(record, asking, live)),
        ...users.map((name) => withoutSession(live, name)).filter((row) => row !== null),
      ];
    },

    async end(asking, wanted) {
      const { by } = asking;
      if ("session" in wanted) {
        const mayEnd = (user: string) => isAdministrator(asking) || user === asking.principal.name;
        const ended = await sessions.end((one) => one.session === wanted.session && mayEnd(one.user), by, "ended");
        if (ended.length === 0) throw unknownSession(wanted.session);
        return { sessions: ended.map(({ session }) => session), connections: 0 };
      }
      const user = "user" in wanted ? wanted.user : asking.principal.name;
      const kept = "user" in wanted ? null : asking.session;
      if (user !== asking.principal.name) requireAdministrator(asking, "ending somebody else's sessions");
      if (register.principal(user)?.kind !== "person") throw unknownPerson(user);
      const ended = await sessions.end((one) => one.user === user && one.session !== kept, by, "ended");
      const connections = o.connections.disconnect((one) => one.user === user && one.session === null, "session-ended");
      return { sessions: ended.map(({ session }) => session), connections };
    },
  };
}

function isAdministrator({ principal }: Asking): boolean {
  return principal.profile === "administrator";
}

function requireAdministrator(asking: Asking, action: string): void {
  if (isAdministrator(asking)) return;
  throw new RastroError({
    code: "not_allowed",
    message: `Asking the directory failed: ${action} needs an administrator; ${asking.principal.name} is none.`,
    given: asking.principal.name,
    expected: "an administrator",
  });
}

function unknownSession(session: string): RastroError {
  return new RastroError({
    code: "unknown_session",
    message: `Ending the session ${session} failed: none of this id is open, or it is somebody else's (rastro session list).`,
    field: "session",
    given: session,
    expected: "the id of an open session",
  });
}

function unknownPerson(user: string): RastroError {
  return new RastroError({
    code: "unknown_name",
    message: `Ending sessions failed: no person ${user} is registered.`,
    field: "user",
    given: user,
    expected: "the name of a person",
  });
}

function distinct(values: string[]): string[] {
  return [...new Set(values)];
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
