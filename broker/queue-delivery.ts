import type { Aedes } from "aedes";
import type { AedesClient } from "./aedes-internals.ts";
import { nextMessageId, type Outlet } from "./outlet.ts";
import type { Persistence } from "./persistence/persistence.ts";
import type { Entry, Queue } from "./persistence/queue.ts";

/** What is on its way to one client, sent and not acknowledged; the rest waits in its queue. */
const WINDOW = { messages: 1000, bytes: 1024 * 1024 };

/**
 * Sends persistent sessions their QoS 1 and 2 messages out of their queues and no other way: in the order in which they
 * were taken in, across connections and starts of the hub, each once a connection. Aedes sends new messages beside the
 * stored ones when a client comes back, some of them twice and out of order.
 *
 * A client that reads or acknowledges slowly costs a bounded window; what is behind it stays in the queue.
 *
 * @param o.mayReceive - rights may have changed since the message was kept.
 * @returns tells that a client has acknowledged something.
 */
export function deliverQueues(o: {
  aedes: Aedes;
  persistence: Pick<Persistence, "queueOf" | "onReady" | "number">;
  outletOf: (client: AedesClient) => Outlet | undefined;
  mayReceive: (client: AedesClient, topic: string) => boolean;
}): (clientId: string) => void {
  const connected = new Map<string, AedesClient>();

  function send(id: string): void {
    const client = connected.get(id);
    const queue = o.persistence.queueOf(id);
    if (client === undefined || client.closed || queue === undefined) return;
    const outlet = o.outletOf(client);
    if (outlet === undefined) return;
    while (queue.inFlight.messages < WINDOW.messages && queue.inFlight.bytes < WINDOW.bytes) {
      const entry = queue.takeNext();
      if (entry === undefined) return;
      sendEntry(client, outlet, queue, entry);
    }
  }

  function sendEntry(client: AedesClient, outlet: Outlet, queue: Queue, entry: Entry): void {
    const { message, qos } = entry;
    if (entry.state === "released") return outlet.sendControl(pubrel(entry.messageId ?? 0));
    if (!o.mayReceive(client, message.topic)) return queue.remove(entry);
    const again = entry.messageId !== undefined;
    const messageId = entry.messageId ?? nextMessageId(client, (taken) => queue.withId(taken) !== undefined);
    const noted = o.persistence.number(client.id, entry, messageId);
    outlet.sendStored({ topic: message.topic, payload: message.payload, retain: false, qos, messageId }, again, noted);
  }

  o.aedes.on("client", (given) => {
    const client = given as AedesClient;
    client.once("connected", () => {
      if (client.clean || client.closed) return;
      connected.set(client.id, client);
      client.conn.once("close", () => {
        if (connected.get(client.id) === client) connected.delete(client.id);
      });
      o.persistence.queueOf(client.id)?.rewind();
      send(client.id);
    });
  });
  o.persistence.onReady(send);
  return send;
}

/** MQTT 3.1.1 §3.6. */
function pubrel(messageId: number): Buffer {
  return Buffer.from([0x62, 2, messageId >> 8, messageId & 0xff]);
}
