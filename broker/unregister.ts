import type { AedesBroker, AedesClient } from "./aedes-internals.ts";

/**
 * Makes Aedes take off its list the client that has ended, and tell of each one's end once. It goes by the id alone: a
 * client that ends while another with its id is taking over takes that one off the list, whose end is then never
 * told, and which a third would not take over. Before the first connection. (`tests/conformance/fuzz.test.ts` waits for
 * everybody's end, and hung without this.)
 */
export function unregisterTheRightOne(broker: AedesBroker): void {
  const listed = new WeakSet<AedesClient>();
  broker.on("client", (client) => listed.add(client));
  const unregister = broker.unregisterClient.bind(broker);
  broker.unregisterClient = (client) => {
    if (!listed.delete(client)) return;
    if (broker.clients[client.id] === client) return unregister(client);
    broker.connectedClients -= 1;
    broker.emit("clientDisconnect", client);
  };
}
