/** A message as it lies on the disk: `at` is when it was taken in, ms since 1970. */
export type StoredMessage = { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean; at: number };

const VERSION = 1;
const RETAIN = 4;
const AT = 2;
const TOPIC_AT = 10;

/** u8 version, u8 QoS and retain flag, u48 time, u16 length of the topic, topic, payload. */
export function encodeMessage(message: Omit<StoredMessage, "payload"> & { payload: Buffer | string }): Buffer {
  const payload = typeof message.payload === "string" ? Buffer.from(message.payload) : message.payload;
  const topicLength = Buffer.byteLength(message.topic);
  const bytes = Buffer.allocUnsafe(TOPIC_AT + topicLength + payload.length);
  bytes[0] = VERSION;
  bytes[1] = message.qos | (message.retain ? RETAIN : 0);
  bytes.writeUIntBE(Math.max(0, Math.floor(message.at)), AT, 6);
  bytes.writeUInt16BE(topicLength, TOPIC_AT - 2);
  bytes.write(message.topic, TOPIC_AT);
  bytes.set(payload, TOPIC_AT + topicLength);
  return bytes;
}

/** The payload is a part of the bytes. Null for what no version wrote. */
export function decodeMessage(bytes: Buffer): StoredMessage | null {
  if (bytes.length < TOPIC_AT || bytes[0] !== VERSION) return null;
  const flags = bytes[1] ?? 0;
  const end = TOPIC_AT + bytes.readUInt16BE(TOPIC_AT - 2);
  if (end > bytes.length) return null;
  return {
    topic: bytes.toString("utf8", TOPIC_AT, end),
    payload: bytes.subarray(end),
    qos: (flags & 3) as StoredMessage["qos"],
    retain: (flags & RETAIN) !== 0,
    at: bytes.readUIntBE(AT, 6),
  };
}
