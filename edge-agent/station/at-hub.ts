import { RastroError } from "../../lib/contracts/errors.ts";
import type { Session } from "../../lib/contracts/directory.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import type { OpenSession } from "./sessions.ts";

/** Somebody at the form waits for it. */
const CONNECT_MS = 3000;
const ANSWER_MS = 8000;

export interface AtHub {
  /**
   * Asks a service in the person's own name: the person vouches, not this machine (decision 3).
   *
   * @throws RastroError what the service answered; `not_allowed` for somebody who signed in without the hub,
   *   `not_reachable`, `timeout`, `bad_credentials`.
   */
  call(session: OpenSession): Requester["call"];
  /** Lets a session's connection go. */
  release(session: OpenSession): void;
  close(): Promise<void>;
}

/**
 * Connections to the hub in the names of people who have signed in at the station: made at the first question, kept until
 * the session ends.
 *
 * @param o.open - opens a link in the name of a session at the hub.
 * @param o.now - by the hub's clock, ms.
 */
export function createAtHub(o: {
  open: (session: Session) => Link;
  now: () => number;
  newId: () => string;
  onFault: (error: unknown) => void;
}): AtHub {
  const links = new Map<OpenSession, { link: Link; requester: Requester }>();

  const connect = async (session: OpenSession): Promise<Requester> => {
    const { hub } = session.person;
    if (hub === null) throw signedInWithout();
    let found = links.get(session);
    if (found === undefined) {
      const link = o.open(hub);
      const asks = { user: hub.user, session: hub.session, newId: o.newId, now: o.now };
      found = { link, requester: createRequester({ link, ...asks }) };
      links.set(session, found);
    }
    await found.link.whenConnected({ timeoutMs: CONNECT_MS });
    return found.requester;
  };
  const release = async (session: OpenSession) => {
    const found = links.get(session);
    links.delete(session);
    await found?.link.close();
  };
  return {
    call: (session) => async (service, operation, body) =>
      (await connect(session)).call(service, operation, body, { timeoutMs: ANSWER_MS }),
    release: (session) => void release(session).catch(o.onFault),
    close: async () => {
      await Promise.all([...links.keys()].map(release));
    },
  };
}

function signedInWithout(): RastroError {
  return new RastroError({
    code: "not_allowed",
    message:
      "Asking the hub failed: you signed in without it, and a change to what is booked needs a sign-in at the hub; sign in again when it is in reach.",
    field: "auth",
    given: "offline",
    expected: "station",
  });
}
