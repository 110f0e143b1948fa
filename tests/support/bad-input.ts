import { connectBytes, frame, publishBytes, subscribeBytes, text } from "./mqtt-bytes.ts";

const NOT_UTF8 = Buffer.from([0x61, 0xff, 0xfe]);
const SURROGATE = Buffer.from([0xed, 0xa0, 0x80]);
const NUL = Buffer.from([0x61, 0x00, 0x62]);
const STATUS = "machines/ipc-b/status";

/** Connects as ipc-b. */
export const signIn = (change: Parameters<typeof connectBytes>[0] = {}) =>
  connectBytes({ user: "ipc-b", password: "ipc-b-pass", ...change });
const will = (topic: string | Uint8Array, payload = "gone") => Buffer.concat([text(topic), text(payload)]);

/** What ends a connection that is not in yet. */
export const BEFORE_CONNECT: readonly [string, Buffer][] = [
  ["PUBLISH first [MQTT-3.1.0-1]", publishBytes(STATUS)],
  ["SUBSCRIBE first [MQTT-3.1.0-1]", subscribeBytes([["#", 0]])],
  ["UNSUBSCRIBE first [MQTT-3.1.0-1]", subscribeBytes([["#"]], { first: 0xa2 })],
  ["PINGREQ first [MQTT-3.1.0-1]", frame(0xc0)],
  ["DISCONNECT first [MQTT-3.1.0-1]", frame(0xe0)],
  ["PUBACK first [MQTT-3.1.0-1]", frame(0x40, [0, 1])],
  ["PUBREC first [MQTT-3.1.0-1]", frame(0x50, [0, 1])],
  ["PUBREL first [MQTT-3.1.0-1]", frame(0x62, [0, 1])],
  ["PUBCOMP first [MQTT-3.1.0-1]", frame(0x70, [0, 1])],
  ["CONNACK first [MQTT-3.1.0-1]", frame(0x20, [0, 0])],
  ["SUBACK first [MQTT-3.1.0-1]", frame(0x90, [0, 1, 0])],
  ["UNSUBACK first [MQTT-3.1.0-1]", frame(0xb0, [0, 1])],
  ["PINGRESP first [MQTT-3.1.0-1]", frame(0xd0)],
  ["packet type 0 (§2.2.1)", frame(0x00)],
  ["packet type 15 (§2.2.1)", frame(0xf0)],
  ["another protocol's name [MQTT-3.1.2-1]", signIn({ protocol: "HTTP" })],
  ["bytes of HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
  ["the first bytes of TLS", Buffer.from("16030100f8010000f40303", "hex")],
  ["protocol level 5 [MQTT-3.1.2-2]", signIn({ level: 9 })],
  ["the reserved connect flag [MQTT-3.1.2-3]", signIn({ flags: 0xc3 })],
  ["will QoS 3 [MQTT-3.1.2-14]", signIn({ flags: 0xde, will: will(STATUS) })],
  ["will QoS without a will [MQTT-3.1.2-13]", signIn({ flags: 0xca })],
  ["will retain without a will [MQTT-3.1.2-15]", signIn({ flags: 0xe2 })],
  ["a will flag without a will", signIn({ flags: 0xc6, user: "", password: "" })],
  ["a will's topic with U+0000 [MQTT-1.5.3-2]", signIn({ flags: 0xc6, will: will(NUL) })],
  ["a password without a user name [MQTT-3.1.2-22]", connectBytes({ flags: 0x42, password: "secret" })],
  ["a user name flag without a user name", connectBytes({ flags: 0x82 })],
  ["a client id that is no UTF-8 [MQTT-1.5.3-1]", signIn({ clientId: NOT_UTF8 })],
  ["a client id with U+0000 [MQTT-1.5.3-2]", signIn({ clientId: NUL })],
  ["a user name that is no UTF-8 [MQTT-1.5.3-1]", signIn({ user: NOT_UTF8 })],
  ["a user name with U+0000 [MQTT-1.5.3-2]", signIn({ user: NUL })],
  ["CONNECT with flag bits [MQTT-2.2.2-2]", Buffer.concat([Buffer.from([0x11]), signIn().subarray(1)])],
  ["CONNECT that is cut short inside its length", frame(0x10, text("MQTT"))],
  ["no client id for a persistent session [MQTT-3.1.3-8]", signIn({ clientId: "", flags: 0xc0 })],
];

/** What ends a connection that is in. */
export const SIGNED_IN: readonly [string, Buffer][] = [
  ["a second CONNECT [MQTT-3.1.0-2]", signIn()],
  ["PUBLISH without a topic [MQTT-4.7.3-1]", publishBytes("")],
  ["PUBLISH to + [MQTT-3.3.2-2]", publishBytes("machines/+/status")],
  ["PUBLISH to # [MQTT-3.3.2-2]", publishBytes("machines/#")],
  ["a topic that is no UTF-8 [MQTT-1.5.3-1]", publishBytes(NOT_UTF8)],
  ["a topic with a surrogate [MQTT-1.5.3-1]", publishBytes(SURROGATE)],
  ["a topic with U+0000 [MQTT-1.5.3-2]", publishBytes(NUL)],
  ["QoS 3 [MQTT-3.3.1-4]", publishBytes(STATUS, { first: 0x36, id: 1 })],
  ["QoS 1 with packet id 0 [MQTT-2.3.1-1]", publishBytes(STATUS, { first: 0x32, id: 0 })],
  ["QoS 2 with packet id 0 [MQTT-2.3.1-1]", publishBytes(STATUS, { first: 0x34, id: 0 })],
  ["PUBLISH shorter than its topic", frame(0x30, Buffer.from([0, 200, 0x61]))],
  ["PUBLISH of nothing", frame(0x30)],
  ["QoS 1 without room for its packet id", frame(0x32, text(STATUS))],
  ["SUBSCRIBE without filters [MQTT-3.8.3-3]", subscribeBytes([])],
  ["SUBSCRIBE with QoS 3 [MQTT-3.8.3-4]", subscribeBytes([["machines/ipc-b/receipts/+", 3]])],
  ["SUBSCRIBE with reserved option bits [MQTT-3.8.3-4]", subscribeBytes([["machines/ipc-b/receipts/+", 0x81]])],
  [
    "SUBSCRIBE without its flag bits [MQTT-3.8.1-1]",
    subscribeBytes([["machines/ipc-b/receipts/+", 0]], { first: 0x80 }),
  ],
  ["SUBSCRIBE with packet id 0 [MQTT-2.3.1-1]", subscribeBytes([["machines/ipc-b/receipts/+", 0]], { id: 0 })],
  ["SUBSCRIBE to a filter that is no UTF-8 [MQTT-1.5.3-1]", subscribeBytes([[NOT_UTF8, 0]])],
  ["SUBSCRIBE to a filter with U+0000 [MQTT-1.5.3-2]", subscribeBytes([[NUL, 0]])],
  ["SUBSCRIBE to an empty filter [MQTT-4.7.3-1]", subscribeBytes([["", 0]])],
  ["SUBSCRIBE to a/#/b [MQTT-4.7.1-2]", subscribeBytes([["machines/#/b", 0]])],
  ["SUBSCRIBE to a+ [MQTT-4.7.1-3]", subscribeBytes([["machines/ipc+/receipts", 0]])],
  ["UNSUBSCRIBE without filters [MQTT-3.10.3-2]", subscribeBytes([], { first: 0xa2 })],
  ["UNSUBSCRIBE without its flag bits [MQTT-3.10.1-1]", subscribeBytes([["a"]], { first: 0xa0 })],
  ["UNSUBSCRIBE with packet id 0 [MQTT-2.3.1-1]", subscribeBytes([["a"]], { first: 0xa2, id: 0 })],
  ["PUBREL without its flag bits [MQTT-3.6.1-1]", frame(0x60, [0, 1])],
  ["PUBACK without a packet id", frame(0x40, [1])],
  ["PINGREQ with flag bits [MQTT-2.2.2-2]", frame(0xc1)],
  ["CONNACK of a client (§2.2.1)", frame(0x20, [0, 0])],
  ["SUBACK of a client (§2.2.1)", frame(0x90, [0, 1, 0])],
  ["UNSUBACK of a client (§2.2.1)", frame(0xb0, [0, 1])],
  ["PINGRESP of a client (§2.2.1)", frame(0xd0)],
  ["packet type 0 (§2.2.1)", frame(0x00)],
  ["packet type 15 (§2.2.1)", frame(0xf0)],
];

/** What a broker has to bear: the connection may stay. */
export const BORNE: readonly [string, Buffer][] = [
  ["PUBACK of an id that was never given", frame(0x40, [0x12, 0x34])],
  ["PUBREC of an id that was never given", frame(0x50, [0x12, 0x34])],
  ["PUBREL of an id that was never given", frame(0x62, [0x12, 0x34])],
  ["PUBCOMP of an id that was never given", frame(0x70, [0x12, 0x34])],
  ["a topic of 64 KB", publishBytes("x".repeat(65_535))],
  ["a topic of 10,000 levels", publishBytes("a/".repeat(10_000))],
  ["a filter of 10,000 levels", subscribeBytes([["a/".repeat(10_000), 0]])],
  ["the same packet id twice", Buffer.concat([1, 2].map(() => publishBytes(STATUS, { first: 0x32, id: 5 })))],
  ["a thousand pings", Buffer.concat(Array.from({ length: 1000 }, () => frame(0xc0)))],
];
