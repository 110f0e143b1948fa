import { Readable } from "node:stream";
import type { AedesPublishPacket } from "aedes";
import { keys, RECEIVED } from "./keys.ts";
import type { Mirror } from "./mirror.ts";
import type { Entry, Owed } from "./queue.ts";
import type { Sessions } from "./sessions.ts";

/** A message as it is published; Aedes sets the rest. */
export type NewMessage = Pick<AedesPublishPacket, "topic" | "payload" | "qos" | "retain"> & Partial<AedesPublishPacket>;

/** What Aedes knows a message on its way by. */
export type Numbered = { cmd?: string; messageId?: number | undefined; brokerId?: string; brokerCounter?: number };

/** What sessions are owed, from the publishing to the acknowledgement. */
export interface Outgoing {
  /** How often the store has been opened: messages of a later start come after those of the ones before. */
  begin(boot: number): void;
  /** What is kept of a message; one for all who are owed it. */
  owed(packet: NewMessage): Owed;
  /** Puts a message at the end of a session's queue. It is sent once it is ready. */
  add(client: string, message: Owed, qos: 1 | 2): Entry;
  /** As {@link Outgoing.add}, ready at once. */
  enqueue(client: string, packet: NewMessage, message: Owed): void;
  /**
   * Notes the message id of what is about to be sent: null for QoS 1, where a message that is sent again after a start
   * of the hub may have another; for QoS 2 it resolves when the id is on disk.
   */
  number(client: string, entry: Entry, messageId: number): Promise<void> | null;
  /**
   * Notes the message id of what is about to be sent, or that a QoS 2 message was received. For QoS 2 it is on disk
   * when it resolves; a repeated QoS 1 message is a new one to its receiver, whatever its id (§4.3.2). What was
   * dropped meanwhile is not missed.
   */
  update(client: string, packet: Numbered): Promise<void>;
  /** The client has it. Nobody waits for the disk: after a crash it may be sent once more. @returns it as Aedes knows it. */
  clear(client: string, packet: Numbered): Record<string, unknown> | undefined;
  /** All of a session, oldest first, as Aedes knows them. */
  stream(client: string): Readable;
}

export function createOutgoing(o: {
  sessions: Pick<Sessions, "of" | "get">;
  mirror: Pick<Mirror, "set" | "sync">;
  now: () => number;
}): Outgoing {
  const { sessions, mirror } = o;
  let boot = 0;
  let count = 0;

  const nextPlace = () => {
    count += 1;
    return { boot, count };
  };
  const add = (client: string, message: Owed, qos: 1 | 2) => sessions.of(client).queue.add(message, qos, nextPlace());

  function number(client: string, entry: Entry, messageId: number): Promise<void> | null {
    sessions.get(client)?.queue.number(entry, messageId);
    if (entry.qos === 1) return null;
    mirror.set(keys.flight(client, entry.place), flightBytes(entry));
    return mirror.sync();
  }

  return {
    begin(given) {
      boot = given;
    },
    owed: (packet) => ({
      topic: packet.topic,
      payload: packet.payload,
      retain: packet.retain,
      dup: packet.dup ?? false,
      brokerId: packet.brokerId,
      brokerCounter: packet.brokerCounter ?? 0,
      at: o.now(),
      encoded: [],
    }),
    add,
    enqueue(client, packet, message) {
      const entry = add(client, message, packet.qos === 2 ? 2 : 1);
      sessions.of(client).queue.ready(entry);
    },
    number,
    async update(client, packet) {
      const queue = sessions.get(client)?.queue;
      const { messageId } = packet;
      if (queue === undefined || messageId === undefined) return;
      const entry =
        packet.cmd === "pubrel" ? queue.withId(messageId) : queue.find(packet.brokerId, packet.brokerCounter ?? 0);
      if (entry === undefined) return;
      if (packet.cmd === "pubrel") {
        entry.state = "released";
        mirror.set(keys.queued(client, entry.place), null);
      }
      await number(client, entry, messageId);
    },
    clear(client, packet) {
      const queue = sessions.get(client)?.queue;
      const entry = packet.messageId === undefined ? undefined : queue?.withId(packet.messageId);
      if (entry === undefined) return undefined;
      queue?.remove(entry);
      return packetOf(entry);
    },
    stream(client) {
      const queue = sessions.get(client)?.queue;
      return Readable.from([...(queue?.entries() ?? [])].map(packetOf));
    },
  };
}

/** u16 message id, u8 whether it was received. */
function flightBytes(entry: Entry): Buffer {
  const id = entry.messageId ?? 0;
  return Buffer.from([id >> 8, id & 0xff, entry.state === "released" ? RECEIVED : 0]);
}

/** An entry as Aedes knows it. */
function packetOf(entry: Entry): Record<string, unknown> {
  const { messageId, message, qos } = entry;
  if (entry.state === "released") return { cmd: "pubrel", messageId };
  const { topic, payload, retain, dup, brokerId, brokerCounter } = message;
  return { cmd: "publish", brokerId, brokerCounter, topic, payload, qos, retain, dup, messageId };
}
