import type { IConnackPacket, IConnectPacket, IPublishPacket, ISubackPacket, Packet } from "mqtt-packet";
import type { Arrived } from "./inbox.ts";
import { connectPacket, isConnack, openRaw, type RawMqtt } from "./raw-mqtt.ts";
import { watch } from "./until.ts";

/** A connection that is in and does everything by itself, so that it can also leave it undone. */
export type ByHand = {
  connack: IConnackPacket;
  raw: RawMqtt;
  /** What has arrived, acknowledged unless it is {@link ByHand.pause | paused}; repeats as often as they come. */
  messages: Arrived[];
  /** Resolves once `done` holds. */
  until(done: (messages: Arrived[]) => boolean): Promise<unknown>;
  /** Acknowledges nothing that arrives from now on. */
  pause(): void;
  /** @returns what is granted for each filter, 128 where nothing is. */
  subscribe(filters: Readonly<Record<string, 0 | 1 | 2>>): Promise<number[]>;
  unsubscribe(filter: string): Promise<void>;
  /** Resolves once the exchange is complete; one of QoS 0 with the answer to a ping behind it. */
  publish(topic: string, text: string, o?: { qos?: 0 | 1 | 2; retain?: boolean }): Promise<void>;
  /** Says goodbye, and waits for the end. */
  disconnect(): Promise<void>;
};

/** Connects as `user` to a broker of the tests. */
export async function connectByHand(url: string, user: string, change: Partial<IConnectPacket> = {}): Promise<ByHand> {
  const raw = await openRaw(url);
  const watched = watch<Arrived[]>([]);
  let paused = false;
  let lastId = 0;
  const nextId = () => (lastId += 1);

  const receive = async (): Promise<never> => {
    for (;;) {
      const packet = await raw.next(isIncoming);
      const { messageId = 0 } = packet;
      if (packet.cmd === "pubrel") raw.send({ cmd: "pubcomp", messageId });
      if (packet.cmd !== "publish") continue;
      const { topic, payload, qos, retain } = packet;
      watched.value.push({ topic, text: payload.toString(), qos, retain });
      if (qos === 1 && !paused) raw.send({ cmd: "puback", messageId });
      if (qos === 2 && !paused) raw.send({ cmd: "pubrec", messageId });
      watched.changed();
    }
  };
  void receive();

  const answer = (cmd: Packet["cmd"], id?: number) =>
    raw.next((packet): packet is Packet => packet.cmd === cmd && (id === undefined || packet.messageId === id));

  raw.send(connectPacket(user, change));
  return {
    connack: await raw.next(isConnack),
    raw,
    messages: watched.value,
    until: watched.until,
    pause: () => void (paused = true),
    async subscribe(filters) {
      const messageId = nextId();
      const subscriptions = Object.entries(filters).map(([topic, qos]) => ({ topic, qos }));
      raw.send({ cmd: "subscribe", messageId, subscriptions });
      return ((await answer("suback", messageId)) as ISubackPacket).granted as number[];
    },
    async unsubscribe(filter) {
      const messageId = nextId();
      raw.send({ cmd: "unsubscribe", messageId, unsubscriptions: [filter] });
      await answer("unsuback", messageId);
    },
    async publish(topic, text, { qos = 0, retain = false } = {}) {
      const message = { cmd: "publish", topic, payload: text, qos, retain, dup: false } as const;
      if (qos === 0) {
        raw.send(message, { cmd: "pingreq" });
        await answer("pingresp");
        return;
      }
      const messageId = nextId();
      raw.send({ ...message, messageId });
      await answer(qos === 1 ? "puback" : "pubrec", messageId);
      if (qos === 1) return;
      raw.send({ cmd: "pubrel", messageId });
      await answer("pubcomp", messageId);
    },
    async disconnect() {
      raw.send({ cmd: "disconnect" });
      await raw.closed;
    },
  };
}

function isIncoming(packet: Packet): packet is IPublishPacket | (Packet & { cmd: "pubrel" }) {
  return packet.cmd === "publish" || packet.cmd === "pubrel";
}
