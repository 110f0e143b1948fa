import type { AedesPublishPacket } from "aedes";
import { keys } from "./keys.ts";
import { createLevelTree } from "./level-tree.ts";
import type { Mirror } from "./mirror.ts";
import { encodeMessage } from "./stored-message.ts";

/** What the hub itself publishes each few seconds is not worth the disk. */
const OWN_FIGURES = "$SYS/";

/** The retained message of each topic, all in memory. */
export interface RetainedMessages {
  readonly size: number;
  get(topic: string): AedesPublishPacket | undefined;
  /** Keeps it at once; an empty payload clears the topic [MQTT-3.3.1-10]. On disk with the next flush. */
  put(packet: AedesPublishPacket): void;
  /**
   * Notes it for the next group, not for readers: {@link RetainedMessages.settle} shows it to them. Until then, or until
   * {@link RetainedMessages.revert}, nothing else of the topic is handed to the mirror.
   */
  stage(packet: AedesPublishPacket): void;
  /** What was staged is on disk. */
  settle(packet: AedesPublishPacket): void;
  /** What was staged could not be written: the disk gets what readers see. */
  revert(topic: string): void;
  /** What was on the disk at the start. */
  restore(packet: AedesPublishPacket): void;
  /** Each topic under one of the filters, once. */
  matching(filters: readonly string[]): Generator<AedesPublishPacket>;
  /** Hands what has changed over to the mirror. */
  flush(): void;
}

export function createRetainedMessages(o: { mirror: Mirror; now: () => number }): RetainedMessages {
  const packets = new Map<string, AedesPublishPacket>();
  const topics = createLevelTree<string>();
  const dirty = new Set<string>();
  /** How many messages of a topic are staged and neither settled nor reverted. */
  const staged = new Map<string, number>();
  /** What was retained on a topic when a message for it was staged. */
  const seen = new WeakMap<AedesPublishPacket, AedesPublishPacket | undefined>();

  function keep(packet: AedesPublishPacket): void {
    const { topic } = packet;
    if (packet.payload.length === 0) {
      if (packets.delete(topic)) topics.delete(topic);
      return;
    }
    if (!packets.has(topic)) topics.set(topic, topic);
    packets.set(topic, packet);
  }

  function encode(packet: AedesPublishPacket): Buffer {
    const { topic, payload, qos } = packet;
    return encodeMessage({ topic, payload, qos, retain: true, at: o.now() });
  }

  function flushTopic(topic: string): void {
    o.mirror.set(keys.retained(topic), () => {
      const packet = packets.get(topic);
      if (packet === undefined) return null;
      const bytes = encode(packet);
      // What came from a socket is a part of the whole chunk that it came in.
      const { payload } = packet;
      if (typeof payload !== "string") packet.payload = bytes.subarray(bytes.length - payload.length);
      return bytes;
    });
  }

  function unstage(topic: string): void {
    const others = (staged.get(topic) ?? 1) - 1;
    if (others === 0) staged.delete(topic);
    else staged.set(topic, others);
  }

  /**
   * A staged message is newer than all that readers see, and acknowledged once it is on disk: what they see must not
   * take its place in a group. Its topic stays in `dirty` meanwhile.
   */
  function flush(): void {
    for (const topic of dirty) {
      if (staged.has(topic)) continue;
      dirty.delete(topic);
      flushTopic(topic);
    }
  }

  return {
    get size() {
      return packets.size;
    },
    get: (topic) => packets.get(topic),
    put(packet) {
      keep({ ...packet });
      if (!packet.topic.startsWith(OWN_FIGURES)) dirty.add(packet.topic);
    },
    stage(packet) {
      seen.set(packet, packets.get(packet.topic));
      o.mirror.set(keys.retained(packet.topic), packet.payload.length === 0 ? null : encode(packet));
      staged.set(packet.topic, (staged.get(packet.topic) ?? 0) + 1);
    },
    settle(packet) {
      unstage(packet.topic);
      // Somebody else's came in between: the disk may have either of the two.
      if (packets.get(packet.topic) !== seen.get(packet)) dirty.add(packet.topic);
      keep({ ...packet, payload: owned(packet.payload) });
    },
    revert(topic) {
      unstage(topic);
      dirty.add(topic);
    },
    restore: keep,
    *matching(filters) {
      const found = new Set(filters.flatMap((filter) => (isLiteral(filter) ? [filter] : topics.under(filter))));
      for (const topic of found) {
        const packet = packets.get(topic);
        if (packet !== undefined) yield packet;
      }
    },
    flush,
  };
}

function isLiteral(filter: string): boolean {
  return !filter.includes("#") && !filter.includes("+");
}

function owned(payload: Buffer | string): Buffer | string {
  return typeof payload === "string" ? payload : Buffer.from(payload);
}
