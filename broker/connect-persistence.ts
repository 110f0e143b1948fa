import { Readable } from "node:stream";
import type { Aedes } from "aedes";
import type { Access } from "./access.ts";
import type { AedesBroker, AedesClient } from "./aedes-internals.ts";
import type { Outlet } from "./outlet.ts";
import type { Persistence } from "./persistence/persistence.ts";
import { deliverQueues } from "./queue-delivery.ts";

/**
 * Puts the hub's persistence beside Aedes: what it keeps is limited to what each user may have, it hears who comes and
 * goes, and queues are sent by {@link deliverQueues}.
 */
export function connectPersistence(o: {
  aedes: Aedes;
  persistence: Persistence;
  accessOfName: (name: string) => Access | undefined;
  accessOf: (client: AedesClient) => Access | undefined;
  outletOf: (client: AedesClient) => Outlet | undefined;
}): void {
  const { aedes, persistence } = o;
  persistence.restrict((clientId) => o.accessOfName(userOf(clientId)));
  const present = new Map<string, AedesClient>();
  aedes.on("client", (given) => {
    const client = given as AedesClient;
    if (client.clean || client.closed) return;
    present.set(client.id, client);
    persistence.came(client.id);
    // Not Aedes's own event, which is left out for a client that took another over while that was closing.
    client.conn.once("close", () => {
      if (present.get(client.id) !== client) return;
      present.delete(client.id);
      persistence.left(client.id);
    });
  });
  const acknowledged = deliverQueues({
    aedes,
    persistence,
    outletOf: o.outletOf,
    mayReceive: (client, topic) => o.accessOf(client)?.mayReceive(topic) === true,
  });
  keepWillsOfTheConnected(aedes as unknown as AedesBroker);
  const ofAedes = (aedes as unknown as AedesBroker).persistence;
  const clear = ofAedes.outgoingClearMessageId.bind(persistence);
  ofAedes.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    acknowledged(client.id);
    return cleared;
  };
}

/** Aedes removes a will by the client's id when a connection ends, also when another with this id has put its own. */
function keepWillsOfTheConnected(broker: AedesBroker): void {
  const { persistence } = broker;
  const remove = persistence.delWill.bind(persistence);
  persistence.delWill = async (client) => {
    const connected = broker.clients[client.id];
    const isOthers = connected !== undefined && connected !== client && !connected.closed && connected.will;
    return isOthers ? undefined : remove(client);
  };
  broker.on("client", (client) => {
    if (client.will && !client.closed) void persistence.putWill(client, client.will);
  });
}

/** What Aedes is given: it sends no queue itself. */
export function persistenceForAedes(persistence: Persistence): unknown {
  return { ...persistence, outgoingStream: () => Readable.from([]) };
}

/** The user of a client id: the hub puts the name before it (connect.ts). */
export function userOf(clientId: string): string {
  return clientId.slice(0, clientId.indexOf(":"));
}
