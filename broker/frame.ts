import type { AedesPublishPacket } from "aedes";

const PUBLISH = 0x30;
const RETAIN = 0x01;

/** What a PUBLISH frame is made of. `messageId` counts for QoS 1 and 2 only. */
export type Framed = Pick<AedesPublishPacket, "topic" | "payload" | "retain"> & {
  qos: 0 | 1 | 2;
  messageId?: number | undefined;
};

/** The bytes of a PUBLISH (MQTT 3.1.1 §3.3), never a repetition: DUP is 0. */
export function publishFrame(packet: Framed): Buffer {
  const payload = typeof packet.payload === "string" ? Buffer.from(packet.payload) : packet.payload;
  const topicLength = Buffer.byteLength(packet.topic);
  const idLength = packet.qos > 0 ? 2 : 0;
  const remaining = 2 + topicLength + idLength + payload.length;
  const headerLength = 1 + lengthOfLength(remaining);
  const frame = Buffer.allocUnsafe(headerLength + remaining);
  frame[0] = PUBLISH | (packet.qos << 1) | (packet.retain ? RETAIN : 0);
  writeLength(frame, remaining);
  let at = frame.writeUInt16BE(topicLength, headerLength);
  at += frame.write(packet.topic, at);
  if (idLength > 0) at = frame.writeUInt16BE(packet.messageId ?? 0, at);
  frame.set(payload, at);
  return frame;
}

/** §2.2.3: seven bits a byte, the lowest first. */
function writeLength(frame: Buffer, length: number): void {
  let rest = length;
  let at = 1;
  do {
    const digit = rest % 128;
    rest = (rest - digit) / 128;
    frame[at] = rest > 0 ? digit | 0x80 : digit;
    at += 1;
  } while (rest > 0);
}

function lengthOfLength(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}
