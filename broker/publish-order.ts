import type { AedesPublishPacket, PublishPacket } from "aedes";
import type { AedesBroker } from "./aedes-internals.ts";

const ORDER = Symbol("order of the publisher's connection");

type Tagged = PublishPacket & { [ORDER]?: ConnectionOrder };

/** The publishes of one connection between their permission and their emission. */
type ConnectionOrder = { pending: number; waiting: { qos: number; go: () => void }[] };

/** Keeps what one connection publishes in the order in which it came, across QoS 0 and 1. */
export interface PublishOrder {
  /** Watches what the broker emits. Once, before the first connection. */
  attach(broker: AedesBroker): void;
  connection(): ConnectionOrder;
  /** Whether nothing of the connection is on its way: what comes next may take a shorter one. */
  isClear(connection: ConnectionOrder): boolean;
  /** Calls `go` when the packet's turn has come: at once, unless a QoS 1 publish of the same connection is on its way. */
  admit(connection: ConnectionOrder, packet: PublishPacket, go: () => void): void;
}

/**
 * Aedes answers a QoS 1 publish before it distributes it, and so QoS 0 publishes that came later in the same chunk
 * pass by: 1,0,1,0 arrives as 2,4,1,3. Here QoS 0 waits until the QoS 1 before it is emitted. QoS 1 never waits for
 * QoS 1, for these take the same path. QoS 2 is left alone: a repeated QoS 2 publish is never emitted, and none of our
 * own parts uses it.
 *
 * Relies on QoS 0 being emitted within `publish` (see {@link keepRetainedAtOnce}).
 */
export function createPublishOrder(): PublishOrder {
  const onTheirWay = new Map<number, ConnectionOrder>();

  const release = (order: ConnectionOrder) => {
    while (order.waiting.length > 0) {
      const next = order.waiting[0];
      if (next === undefined || (next.qos === 0 && order.pending > 0)) return;
      order.waiting.shift();
      if (next.qos === 1) order.pending += 1;
      next.go();
    }
  };
  const settle = (counter: number) => {
    const order = onTheirWay.get(counter);
    if (order === undefined) return;
    onTheirWay.delete(counter);
    order.pending -= 1;
    release(order);
  };

  return {
    attach(broker) {
      const publish = broker.publish.bind(broker);
      broker.publish = (packet: Tagged & Partial<AedesPublishPacket>, client, done) => {
        const order = packet[ORDER];
        if (order === undefined) return publish(packet, client, done);
        const counter = ++broker.counter;
        packet.brokerId = broker.id;
        packet.brokerCounter = counter;
        onTheirWay.set(counter, order);
        publish(packet, client, (error) => {
          settle(counter);
          done(error);
        });
      };
      const emit = broker.mq.emit.bind(broker.mq);
      broker.mq.emit = (packet, done) => {
        const result = emit(packet, done);
        if (packet.qos === 1) settle(packet.brokerCounter);
        return result;
      };
    },
    connection: () => ({ pending: 0, waiting: [] }),
    isClear: ({ pending, waiting }) => pending === 0 && waiting.length === 0,
    admit(order, packet: Tagged, go) {
      if (packet.qos === 2) return go();
      if (packet.qos === 1) packet[ORDER] = order;
      if (order.waiting.length > 0 || (packet.qos === 0 && order.pending > 0)) {
        order.waiting.push({ qos: packet.qos, go });
        return;
      }
      if (packet.qos === 1) order.pending += 1;
      go();
    },
  };
}

/**
 * The memory persistence puts a retained message into its map before it returns, but answers with a promise, so that a
 * retained publish is passed by one without the flag. Answered at once, both keep their order and cost less.
 */
export function keepRetainedAtOnce(persistence: AedesBroker["persistence"], onError: (error: unknown) => void): void {
  const store = persistence.storeRetained.bind(persistence);
  // oxlint-disable-next-line unicorn/no-thenable -- Aedes calls then() itself, and an answer at once is the point
  const stored = { then: (done: () => unknown) => done() } as unknown as PromiseLike<void>;
  persistence.storeRetained = (packet) => {
    store(packet).then(undefined, onError);
    return stored;
  };
}
