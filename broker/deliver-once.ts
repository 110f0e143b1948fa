import { topicMatches } from "../lib/contracts/topics.ts";
import type { AedesClient, Deliver } from "./aedes-internals.ts";

/**
 * Makes a connection receive each message exactly once per hub, whatever its subscriptions.
 *
 * Aedes drops every packet whose counter is below the last one delivered to the client, to send a message once when
 * subscriptions overlap. Counters are given before the store is asked and messages arrive after it answered, so QoS 0
 * traffic overtakes retained and QoS 1 messages, and these are lost. Here a packet is dropped only when its counter
 * *equals* the last one: the broker calls all matching subscriptions of one message in one synchronous loop, so the
 * copies of a message are always neighbours.
 *
 * Of overlapping subscriptions the one with QoS 1 or 2 delivers (MQTT 3.1.1 [MQTT-3.3.5-1]).
 *
 * @param mayReceive - asked before Aedes is: a null from its own forward hook makes it forget another queued message
 *   of a persistent session (lib/client.js, deliverQoS).
 */
export function deliverOnce(client: AedesClient, brokerId: string, mayReceive: (topic: string) => boolean): void {
  neutralise(client.duplicates, brokerId);
  let last = -1;
  const isCopy = (packet: Parameters<Deliver>[0]) => {
    // A retained message read for a new subscription carries no broker id and stands for itself.
    if (!packet.brokerId) return false;
    if (packet.brokerCounter === last) return true;
    last = packet.brokerCounter;
    return false;
  };
  const deliver0 = client.deliver0;
  const deliverQoS = client.deliverQoS;

  client.deliver0 = (packet, done) => {
    const leftToOther = packet.qos > 0 && hasQueuedSubscription(client, packet.topic);
    if (leftToOther || !mayReceive(packet.topic) || isCopy(packet)) done();
    else deliver0(packet, done);
  };
  client.deliverQoS = (packet, done) => {
    if (packet.qos === 0) client.deliver0(packet, done);
    else if (!mayReceive(packet.topic) || isCopy(packet)) done();
    else deliverQoS(packet, done);
  };
}

function neutralise(duplicates: Record<string, number>, brokerId: string): void {
  Object.defineProperty(duplicates, brokerId, { get: () => 0, set() {}, configurable: true });
}

function hasQueuedSubscription(client: AedesClient, topic: string): boolean {
  return Object.entries(client.subscriptions).some(([filter, { qos }]) => qos > 0 && topicMatches(filter, topic));
}
