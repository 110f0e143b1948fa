import mqttPacket, { type Packet } from "mqtt-packet";

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Makes packets as a client would send them, and spoils most of them. */
export interface Mutations {
  /** One packet, spoiled or whole. */
  next(): Buffer;
  pick<T>(of: readonly T[]): T;
  below(limit: number): number;
}

/** @param o.topics - what they publish and subscribe. */
export function createMutations(o: { random: () => number; topics: readonly string[] }): Mutations {
  const below = (limit: number) => Math.floor(o.random() * limit);
  const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  let before: Buffer = Buffer.from([0xc0, 0]);

  const valid = (): Packet => {
    const messageId = 1 + below(20);
    const topic = pick(o.topics);
    const qos = pick([0, 0, 1, 2] as const);
    switch (pick(["publish", "publish", "publish", "subscribe", "unsubscribe", "ack", "ping", "connect", "end"])) {
      case "publish": {
        const payload = Buffer.alloc(below(300), below(256));
        return { cmd: "publish", topic, payload, qos, retain: o.random() < 0.5, dup: false, messageId };
      }
      case "subscribe":
        return {
          cmd: "subscribe",
          messageId,
          subscriptions: [{ topic: pick([topic, "#", "machines/+/status", "+/+"]), qos }],
        };
      case "unsubscribe":
        return { cmd: "unsubscribe", messageId, unsubscriptions: [pick([topic, "#"])] };
      case "ack":
        return { cmd: pick(["puback", "pubrec", "pubrel", "pubcomp"] as const), messageId };
      case "connect":
        return {
          cmd: "connect",
          protocolId: "MQTT",
          protocolVersion: 4,
          clean: true,
          clientId: "again",
          keepalive: below(3),
        };
      case "end":
        return { cmd: "disconnect" };
      default:
        return { cmd: "pingreq" };
    }
  };

  const spoil = (bytes: Buffer): Buffer => {
    switch (
      pick([
        "whole",
        "whole",
        "whole",
        "whole",
        "whole",
        "bits",
        "bits",
        "cut",
        "twice",
        "splice",
        "length",
        "insert",
        "random",
      ])
    ) {
      case "bits": {
        const spoiled = Buffer.from(bytes);
        for (let times = 1 + below(4); times > 0; times -= 1) {
          const at = below(spoiled.length);
          spoiled[at] = (spoiled[at] ?? 0) ^ (1 << below(8));
        }
        return spoiled;
      }
      case "cut":
        return bytes.subarray(0, below(bytes.length));
      case "twice":
        return Buffer.concat([bytes, bytes]);
      case "splice":
        return Buffer.concat([bytes.subarray(0, below(bytes.length)), before.subarray(below(before.length))]);
      case "length": {
        const spoiled = Buffer.from(bytes);
        spoiled[1] = below(256);
        return spoiled;
      }
      case "insert": {
        const at = below(bytes.length);
        return Buffer.concat([bytes.subarray(0, at), Buffer.from([below(256)]), bytes.subarray(at)]);
      }
      case "random":
        return Buffer.from(Array.from({ length: 1 + below(40) }, () => below(256)));
      default:
        return bytes;
    }
  };

  return {
    pick,
    below,
    next() {
      const whole = mqttPacket.generate(valid(), { protocolVersion: 4 });
      const spoiled = spoil(whole);
      before = whole;
      return spoiled;
    },
  };
}
