import type { AedesClient } from "./aedes-internals.ts";

/** Why the hub ended a connection that had been admitted and broke no rule of MQTT. */
export type EndedBecause =
  | "session-ended"
  | "locked"
  | "erased"
  | "revoked"
  | "profile-changed"
  | "password-changed"
  | "key-replaced"
  | "certificate-revoked";

/** One connection that is admitted now. `since` is ms since 1970. */
export type LiveConnection = Readonly<{
  user: string;
  /** Segment of the session whose token was the password, else null. */
  session: string | null;
  /** The client id as it was given, without the user's name before it. */
  client: string;
  address: string;
  transport: "tcp" | "tls" | "websocket";
  since: number;
}>;

/**
 * Who is in at this moment, from the admission to the end of the connection: also what has no CONNACK yet, so that
 * nobody slips through between the check of a password and the first packet.
 */
export interface LiveConnections {
  add(client: AedesClient, connection: LiveConnection): void;
  all(): LiveConnection[];
  /** Ends those that `which` picks, at once. @returns how many. */
  disconnect(which: (connection: LiveConnection) => boolean, why: EndedBecause): number;
}

/** @param o.end - ends a connection by force and tells of it. */
export function createLiveConnections(o: {
  end: (client: AedesClient, connection: LiveConnection, why: EndedBecause) => void;
}): LiveConnections {
  const live = new Map<AedesClient, LiveConnection>();
  return {
    add(client, connection) {
      // Gone while its password was being checked: nothing would tell of its end.
      if (client.closed || client.conn.destroyed) return;
      live.set(client, connection);
      client.conn.once("close", () => live.delete(client));
    },
    all: () => [...live.values()],
    disconnect(which, why) {
      const picked = [...live].filter(([, connection]) => which(connection));
      for (const [client, connection] of picked) {
        live.delete(client);
        o.end(client, connection, why);
      }
      return picked.length;
    },
  };
}
