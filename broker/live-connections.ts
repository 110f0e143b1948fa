import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Client } from "aedes";
import type { Access } from "./access.ts";
import type { AedesClient } from "./aedes-internals.ts";
import { addressOf } from "./connect.ts";
import { WebSocketConnection } from "./websocket-connection.ts";

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

/**
 * A connection as it is shown.
 *
 * @param session - segment of the session whose token was the password, else null.
 * @param since - when it was admitted, ms since 1970.
 */
export function liveConnectionOf(
  client: Client,
  access: Access,
  session: string | null,
  since: number,
): LiveConnection {
  const user = access.principal.name;
  const transport = transportOf(client.conn);
  // The hub itself put the name before it (connect.ts).
  const id = client.id.slice(user.length + 1);
  return { user, session, client: id, address: addressOf(client), transport, since };
}

function transportOf(conn: Duplex): LiveConnection["transport"] {
  if (conn instanceof WebSocketConnection) return "websocket";
  return conn instanceof TLSSocket ? "tls" : "tcp";
}
