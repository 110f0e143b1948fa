import type { AedesOptions, Client, PublishPacket } from "aedes";
import type { HubCounters, OnAccess } from "./access-events.ts";
import type { Access } from "./access.ts";
import { addressOf } from "./connect.ts";
import { classOf } from "./message-classes.ts";
import type { PublishOrder } from "./publish-order.ts";

/** Where refused publishes go: no rule covers it, and wildcards do not match a first level with `$` [MQTT-4.7.2-1]. */
export const SINK = "$refused";

type Connection = { access: Access; order: ReturnType<PublishOrder["connection"]> };

/**
 * Makes Aedes's three permission hooks. All of them decide synchronously from the connection's {@link Access}, so that
 * no packet overtakes another while it waits for a decision.
 *
 * A refused publish leaves the connection open (MQTT 3.1.1 §3.3.5 lets a server acknowledge and drop it): it is sent to
 * {@link SINK} with neither payload nor retain flag. A refused subscription is answered with 128.
 */
export function authorizeHooks(o: {
  connectionOf: (client: Client) => Connection | undefined;
  accessOfName: (name: string) => Access | undefined;
  order: PublishOrder;
  /** Called before a publish that does not come over the status lane is let through. */
  beforePublish: (client: Client | null, topic: string) => void;
  counters: HubCounters;
  onAccess: OnAccess;
  /** Tells the sender of a refused publish, where there is a way to. */
  tellRefused: (access: Access, topic: string) => void;
}): Required<Pick<AedesOptions, "authorizePublish" | "authorizeSubscribe" | "authorizeForward">> {
  return {
    authorizePublish(client, packet, done) {
      o.beforePublish(client, packet.topic);
      if (client === null) {
        if (!mayPublishWill(packet, o.accessOfName)) toSink(packet);
        return done(null);
      }
      const connection = o.connectionOf(client);
      if (connection === undefined) {
        toSink(packet);
        return done(null);
      }
      const { access, order } = connection;
      o.counters.received += 1;
      o.counters.receivedBy[classOf(packet.topic)] += 1;
      const { topic } = packet;
      if (!access.mayPublish(topic)) {
        toSink(packet);
        o.onAccess({ kind: "publish-refused", ...whoIs(client, access), code: "not_allowed", subject: topic });
        o.tellRefused(access, topic);
      }
      // A closed connection publishes nothing but its will, which must not wait for packets that may never come through.
      if (client.closed) return done(null);
      o.order.admit(order, client, packet, done);
    },

    authorizeSubscribe(client, subscription, done) {
      const access = o.connectionOf(client)?.access;
      if (access?.maySubscribe(subscription.topic) === true) return done(null, subscription);
      if (access !== undefined) {
        const subject = subscription.topic;
        o.onAccess({ kind: "subscribe-refused", ...whoIs(client, access), code: "not_allowed", subject });
      }
      done(null, null);
    },

    authorizeForward(client, packet) {
      if (o.connectionOf(client)?.access.mayReceive(packet.topic) !== true) return null;
      o.counters.sent += 1;
      return packet;
    },
  };
}

/** Wills of an earlier start of the hub carry no connection, only the client id that the hub itself made. */
function mayPublishWill(packet: PublishPacket, accessOfName: (name: string) => Access | undefined): boolean {
  const [user] = (packet as { clientId?: string }).clientId?.split(":") ?? [];
  return user !== undefined && accessOfName(user)?.mayPublish(packet.topic) === true;
}

function toSink(packet: PublishPacket): void {
  packet.topic = SINK;
  packet.retain = false;
  packet.payload = Buffer.alloc(0);
}

function whoIs(client: Client, access: Access): { user: string; address: string } {
  return { user: access.principal.name, address: addressOf(client) };
}
