import type { Packet } from "mqtt-packet";
import type { AedesClient } from "./aedes-internals.ts";

/** U+0000 is forbidden [MQTT-1.5.3-2]; U+FFFD is what Node reads where bytes are no UTF-8 [MQTT-1.5.3-1]. */
const FORBIDDEN = ["\u0000", "\uFFFD"] as const;

/** Only a server sends these (MQTT 3.1.1 §2.2.1). */
const OF_SERVERS: ReadonlySet<string> = new Set(["connack", "suback", "unsuback", "pingresp"]);

/**
 * Holds back a packet that breaks MQTT 3.1.1 where Aedes and its parser would let it pass, and everything behind it.
 *
 * @param o.onBad - called once with what is wrong, in words that hold nothing of the packet; must end the connection.
 */
export function strictPackets(client: AedesClient, o: { onBad: (why: string) => void }): void {
  const parser = client._parser;
  const [enqueue] = parser.listeners("packet");
  if (enqueue === undefined) return;
  let ended = false;
  parser.removeAllListeners("packet");
  parser.on("packet", (packet: Packet) => {
    if (ended) return;
    const why = faultOf(packet);
    if (why === null) {
      enqueue.call(parser, packet);
      return;
    }
    ended = true;
    o.onBad(why);
  });
}

/** @returns what is wrong with a packet of a client, null when nothing is. */
export function faultOf(packet: Packet): string | null {
  switch (packet.cmd) {
    case "publish":
      if (packet.qos > 0 && !hasId(packet)) return "PUBLISH with packet id 0";
      return textFault(packet.topic, "topic");
    case "subscribe":
      if (!hasId(packet)) return "SUBSCRIBE with packet id 0";
      return firstFault(packet.subscriptions.map(({ topic }) => textFault(topic, "filter")));
    case "unsubscribe":
      if (!hasId(packet)) return "UNSUBSCRIBE with packet id 0";
      if (packet.unsubscriptions.length === 0) return "UNSUBSCRIBE without filters";
      return firstFault(packet.unsubscriptions.map((topic) => textFault(topic, "filter")));
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return hasId(packet) ? null : `${packet.cmd.toUpperCase()} without a packet id`;
    case "connect": {
      const { will } = packet;
      if ((will?.qos ?? 0) > 2) return "a will of QoS 3";
      return firstFault([
        textFault(packet.clientId, "client id"),
        textFault(packet.username ?? "", "user name"),
        textFault(will?.topic ?? "", "will topic"),
      ]);
    }
    default:
      return OF_SERVERS.has(packet.cmd) ? `${packet.cmd.toUpperCase()} from a client` : null;
  }
}

/** [MQTT-2.3.1-1]; the parser says -1 or nothing when there was no room for one. */
function hasId({ messageId }: { messageId?: number | undefined }): boolean {
  return messageId !== undefined && messageId > 0;
}

function textFault(text: string, what: string): string | null {
  return FORBIDDEN.some((character) => text.includes(character)) ? `a ${what} that is no UTF-8 text` : null;
}

function firstFault(faults: readonly (string | null)[]): string | null {
  return faults.find((fault) => fault !== null) ?? null;
}
