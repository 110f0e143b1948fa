import type { Duplex } from "node:stream";
import { type AccessEvent, type HubCounters, type OnAccess } from "./access-events.ts";
import type { Access } from "./access.ts";
import type { AedesClient } from "./aedes-internals.ts";
import { addressOf } from "./connect.ts";
import { deliverOnce } from "./deliver-once.ts";
import type { BadFrame } from "./frame-guard.ts";
import { guardFrames } from "./guard-frames.ts";
import { strictPackets } from "./strict-packets.ts";
import { createOutlet, createSharedFrames, type Outlet, type OutletLimits } from "./outlet.ts";
import type { Turn } from "./turn.ts";
import { WebSocketConnection } from "./websocket-connection.ts";

/** The longest frame before a CONNECT is accepted, header included; a token and a will fit many times over. */
export const FIRST_FRAME_BYTES = 8 * 1024;

/** How many frames of the longest kind one WebSocket message may hold: clients join what they write in one go. */
const FRAMES_PER_MESSAGE = 4;

/** The two ends of each connection: what it may send before and after its admission, and how it is sent to. */
export interface Connections {
  /** Watches what comes in, from the first byte on. */
  guard(client: AedesClient): void;
  /** Makes everything that is sent to it go through an outlet. Before its first subscription. */
  attach(client: AedesClient): void;
  /** Allows the longer frames of somebody who has signed in. */
  admit(client: AedesClient): void;
  outletOf(client: AedesClient): Outlet | undefined;
  /** Ends it by force, with one access event, of which the log has its line. */
  end(client: AedesClient, event: ForcedEnd): void;
}

type ForcedEnd = Pick<AccessEvent, "kind" | "code" | "subject" | "why">;

export function createConnections(o: {
  /** What the broker calls itself in packets. */
  brokerId: () => string;
  /** Whether a message id belongs to a stored message that the client has not acknowledged. */
  isTaken: (client: AedesClient, messageId: number) => boolean;
  accessOf: (client: AedesClient) => Access | undefined;
  turn: Turn;
  /** Whether somebody gets only the newest of a topic, at their view rate. */
  thins: (client: AedesClient, topic: string) => boolean;
  /** The newest retained frame of a topic, when the status lane has it. */
  newest: (topic: string) => Buffer | undefined;
  limits: OutletLimits;
  maxPacketBytes: number;
  counters: HubCounters;
  onAccess: OnAccess;
}): Connections {
  const frameOf = createSharedFrames();
  const outlets = new WeakMap<AedesClient, Outlet>();

  const ended = new WeakSet<AedesClient>();

  const end = (client: AedesClient, event: ForcedEnd) => {
    if (ended.has(client)) return;
    ended.add(client);
    const user = o.accessOf(client)?.principal.name ?? null;
    o.onAccess({ user, address: addressOf(client), ...event });
    client.conn.destroy();
  };

  return {
    guard(client) {
      const limit = () => (o.accessOf(client) === undefined ? FIRST_FRAME_BYTES : o.maxPacketBytes);
      const onBad = (bad: BadFrame) =>
        end(client, {
          kind: "frame-refused",
          code: bad.why === "too-large" ? "too_large" : "schema",
          subject: bad.why === "too-large" ? `frame over ${bad.limit} bytes` : "malformed remaining length",
        });
      guardFrames(client, { limit, onBad });
      strictPackets(client, { onBad: (subject) => end(client, { kind: "frame-refused", code: "schema", subject }) });
      const { conn } = client;
      if (!(conn instanceof WebSocketConnection)) return;
      conn.onTooLarge(() => end(client, { kind: "frame-refused", code: "too_large", subject: "WebSocket message" }));
    },
    attach(client) {
      const outlet = createOutlet({
        client,
        isTaken: (messageId) => o.isTaken(client, messageId),
        frameOf,
        turn: o.turn,
        thins: (topic) => o.thins(client, topic),
        newest: o.newest,
        counters: o.counters,
        limits: o.limits,
        onOverflow: () => end(client, { kind: "too-slow", code: "too_slow", subject: null }),
      });
      outlets.set(client, outlet);
      client.deliver0 = outlet.send0;
      client.deliverQoS = outlet.sendQoS;
      deliverOnce(client, o.brokerId(), (topic) => o.accessOf(client)?.mayReceive(topic) === true);
    },
    admit(client) {
      const conn: Duplex = client.conn;
      if (conn instanceof WebSocketConnection) conn.limitMessages(o.maxPacketBytes * FRAMES_PER_MESSAGE);
    },
    outletOf: (client) => outlets.get(client),
    end,
  };
}

/** The longest WebSocket message before a CONNECT is accepted. */
export const FIRST_MESSAGE_BYTES: number = FIRST_FRAME_BYTES * 2;
