import type { AedesPublishPacket, Client, ConnectPacket, PublishPacket } from "aedes";

/*
 * What we touch of Aedes 1.2.0 beyond its published types. The version is pinned exactly; a new one means reading
 * lib/client.js, lib/handlers and aedes.js again with this list at hand.
 */

type Will = NonNullable<ConnectPacket["will"]>;

export type Deliver = (packet: AedesPublishPacket, done: () => void) => void;

/** lib/client.js: the connection's state. `deliver0` and `deliverQoS` are what a subscription calls per message. */
export type AedesClient = Client & {
  /** Last counter delivered, per broker: the check that loses messages (fault 1 of the conformance suite). */
  duplicates: Record<string, number>;
  deliver0: Deliver;
  deliverQoS: Deliver;
  subscriptions: Record<string, { qos: number }>;
  /** The message id of the next QoS 1 or 2 message to it. */
  _nextId: number;
  connackSent: boolean;
  /** What it reads from the socket goes through here, a chunk at a time. */
  _parser: NodeJS.EventEmitter & { parse(chunk: Buffer): number };
  /** Reads the next chunk once no packet is being handled; called when the handling of one ends. */
  _nextBatch: (error?: Error | null) => void;
  /** Packets that are being handled. */
  _parsingBatch: number;
  /** Ends the connection that is silent for one and a half times its keepalive [MQTT-3.1.2-24]; null without one. */
  _keepaliveTimer: NodeJS.Timeout | null;
  /** What is published if the connection ends without DISCONNECT. */
  will: Will | null;
  /** The will as CONNECT brought it, until the connection is admitted. */
  _will: ConnectPacket["will"] | null;
};

/** All that a persistence reads of a client. */
export type StoredClient = { id: string };

type PublishDone = (error?: Error | null) => void;

/** aedes.js: the broker's own messages leave the client out. */
export type BrokerPublish = (packet: PublishPacket, client: Client | PublishDone | null, done?: PublishDone) => void;

/** aedes.js: the broker. */
export type AedesBroker = {
  id: string;
  counter: number;
  clients: Record<string, AedesClient>;
  publish: BrokerPublish;
  emit(event: "publish", packet: AedesPublishPacket, client: Client | null): boolean;
  emit(event: "clientDisconnect", client: Client): boolean;
  on(event: "client", call: (client: AedesClient) => void): unknown;
  connectedClients: number;
  unregisterClient(client: AedesClient): void;
  mq: { emit(packet: AedesPublishPacket, done?: () => void): unknown };
  persistence: {
    storeRetained(packet: AedesPublishPacket): PromiseLike<void>;
    putWill(client: StoredClient, will: Will): Promise<void>;
    delWill(client: StoredClient): Promise<unknown>;
    outgoingClearMessageId(client: StoredClient, packet: { messageId?: number }): Promise<unknown>;
  };
};
