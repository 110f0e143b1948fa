import type { AedesPublishPacket, Client, PublishPacket } from "aedes";
import type { AedesBroker, BrokerPublish } from "./aedes-internals.ts";
import type { Kept, Persistence } from "./persistence/persistence.ts";

/** On a packet that was published before Aedes acknowledged it. */
const PUBLISHED = Symbol("published");

type Numbered = AedesPublishPacket & { [PUBLISHED]?: true };

/** Aedes and its parts refuse more levels; what comes from a client was counted before it came here. */
const MOST_LEVELS = 100;

/** The publishes of one connection that wait for the disk, and what came after them. */
type ConnectionOrder = { waiting: Waiting[] };

type Waiting = { ready: boolean; go: () => void };

/** Publishes what connections send: in the order in which it came, and QoS 1 and 2 acknowledged once it is on disk. */
export interface PublishOrder {
  /** Takes the publishing of QoS 1 and 2 over from the broker. Once, before the first connection. */
  attach(broker: AedesBroker): void;
  connection(): ConnectionOrder;
  /** Whether nothing of the connection is on its way: what comes next may take a shorter one. */
  isClear(connection: ConnectionOrder): boolean;
  /**
   * Publishes a packet of QoS 1 once it is stored, and calls `done`, upon which Aedes acknowledges it; with an error,
   * upon which Aedes ends the connection, when it could not be stored. QoS 0 is left to Aedes, in its turn.
   */
  admit(connection: ConnectionOrder, client: Client, packet: PublishPacket, done: (error?: Error | null) => void): void;
}

/**
 * Aedes acknowledges a QoS 1 publish before anything is stored, and publishes it after that, so that QoS 0 publishes of
 * the same chunk pass by: 1,0,1,0 arrives as 2,4,1,3. Here a QoS 1 publish is stored for whom it is owed, then published,
 * then acknowledged. One that nobody is owed takes no step that waits. Those that arrive together share a synced write,
 * and what the connection sends meanwhile waits behind them. QoS 2 is acknowledged in the same way but keeps no order:
 * a repeated one is never published, and none of our own parts uses it.
 */
export function createPublishOrder(o: { persistence: Pick<Persistence, "keep"> }): PublishOrder {
  let broker: AedesBroker;

  const release = (order: ConnectionOrder) => {
    while (order.waiting[0]?.ready === true) order.waiting.shift()?.go();
  };

  function number(packet: PublishPacket): Numbered {
    broker.counter += 1;
    return Object.assign(packet, { brokerId: broker.id, brokerCounter: broker.counter }) as Numbered;
  }

  function publishNow(packet: Numbered, client: Client | null, kept: Kept | null): void {
    packet[PUBLISHED] = true;
    kept?.publish();
    if (client !== null) Object.assign(packet, { clientId: client.id });
    broker.mq.emit(packet);
    broker.emit("publish", packet, client);
  }

  function publishKept(packet: Numbered, client: Client | null, done: (error?: Error | null) => void): void {
    const kept = o.persistence.keep(packet, packet.messageId === undefined ? null : (client?.id ?? null));
    const publish = () => {
      publishNow(packet, client, kept);
      done(null);
    };
    if (kept === null) publish();
    else kept.stored.then(publish, done);
  }

  return {
    attach(given) {
      broker = given;
      const publish = broker.publish.bind(broker);
      const publishOwn: BrokerPublish = (packet, client, done) => {
        const [from, told] = typeof client === "function" ? [null, client] : [client, done ?? (() => undefined)];
        if ((packet as Numbered)[PUBLISHED] === true) return told(null);
        if ((packet.qos ?? 0) === 0) return publish(packet, from, told);
        if (packet.topic.split("/").length > MOST_LEVELS) return told(new Error("topic has too many levels"));
        publishKept(number(packet), from, told);
      };
      broker.publish = publishOwn;
    },
    connection: () => ({ waiting: [] }),
    isClear: ({ waiting }) => waiting.length === 0,
    admit(order, client, packet, done) {
      const { waiting } = order;
      if (packet.qos === 2 || (packet.qos === 0 && waiting.length === 0)) return done(null);
      if (packet.qos === 0) {
        waiting.push({ ready: true, go: () => done(null) });
        return;
      }
      const numbered = number(packet);
      const kept = o.persistence.keep(numbered, null);
      const go = () => {
        publishNow(numbered, client, kept);
        done(null);
      };
      if (kept === null && waiting.length === 0) return go();
      const place: Waiting = { ready: kept === null, go };
      waiting.push(place);
      kept?.stored.then(
        () => {
          place.ready = true;
          release(order);
        },
        (error: Error) => {
          place.ready = true;
          place.go = done.bind(null, error);
          release(order);
        },
      );
    },
  };
}
