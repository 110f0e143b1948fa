import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import mqttPacket from "mqtt-packet";

/*
 * As little MQTT as a measurement needs: a client library would take longer for a message than the broker does, and
 * its time would be counted as the broker's.
 */

export type Credentials = {
  user: string;
  password?: string;
  /** The client id; by the name when left out. */
  client?: string;
};
/** MQTT over TLS at this port; the authority as PEM. */
export type Secured = { port: number; ca: string };
/** A PUBLISH as it came; `messageId` is null with QoS 0. */
export type OnPublish = (payload: Buffer, messageId: number | null) => void;

/** @throws Error when the broker does not accept the connection. */
export async function openWire(
  at: number | Secured,
  { user, password, client }: Credentials,
  clean = true,
): Promise<Socket> {
  const socket = await openSocket(at);
  socket.write(
    mqttPacket.generate({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean,
      clientId: client ?? `bench-${user}`,
      keepalive: 0,
      username: user,
      ...(password !== undefined && { password: Buffer.from(password) }),
    }),
  );
  const [answer] = (await once(socket, "data")) as [Buffer];
  // CONNACK: type 2, return code in the fourth byte (MQTT 3.1.1 §3.2).
  if (answer[0] !== 0x20 || answer[3] !== 0)
    throw new Error(`the broker refuses ${user} (${answer.toString("hex", 0, 16)})`);
  return socket;
}

async function openSocket(at: number | Secured): Promise<Socket> {
  if (typeof at === "number") {
    const socket = connect({ host: "127.0.0.1", port: at, noDelay: true });
    await once(socket, "connect");
    return socket;
  }
  const socket = connectTls({ host: "127.0.0.1", port: at.port, ca: at.ca });
  socket.setNoDelay(true);
  await once(socket, "secureConnect");
  return socket;
}

/** @throws Error when the broker refuses the filter. */
export async function subscribe(socket: Socket, filter: string, qos: 0 | 1): Promise<void> {
  socket.write(mqttPacket.generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos }] }));
  const [answer] = (await once(socket, "data")) as [Buffer];
  if (answer[0] !== 0x90 || answer[4] !== qos)
    throw new Error(`the broker refuses ${filter} (${answer.toString("hex", 0, 16)})`);
}

/** The bytes of a PUBLISH whose payload is filled in later: it are the last ones. */
export function publishFrame(o: { topic: string; bytes: number; qos: 0 | 1; retain?: boolean }): Buffer {
  const { topic, bytes, qos, retain = false } = o;
  const payload = Buffer.alloc(bytes, 0x20);
  return mqttPacket.generate({ cmd: "publish", topic, payload, qos, messageId: 1, dup: false, retain });
}

/** PUBACK (MQTT 3.1.1 §3.4). */
export function pubackFrame(messageId: number): Buffer {
  return Buffer.from([0x40, 0x02, messageId >> 8, messageId & 0xff]);
}

/**
 * Takes what a socket gives and calls back for each PUBLISH in it; other packets are passed over, and what was retained
 * before the subscription.
 */
export function scanPublishes(onPublish: OnPublish): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (let end = endOfPacket(bytes, at); end !== null; end = endOfPacket(bytes, at)) {
      const head = bytes.readUInt8(at);
      if (head >> 4 === 3 && (head & 1) === 0) takePublish(bytes.subarray(at, end), onPublish);
      at = end;
    }
    rest = bytes.subarray(at);
  };
}

/** Where the packet that begins at `at` ends; null when it is not whole. Remaining length: MQTT 3.1.1 §2.2.3. */
function endOfPacket(bytes: Buffer, at: number): number | null {
  let length = 0;
  for (let digit = 0; digit < 4; digit += 1) {
    const byte = bytes[at + 1 + digit];
    if (byte === undefined) return null;
    length += (byte & 0x7f) * 128 ** digit;
    if (byte < 0x80) return at + 2 + digit + length <= bytes.length ? at + 2 + digit + length : null;
  }
  throw new Error("the broker sends what is no MQTT");
}

function takePublish(packet: Buffer, onPublish: OnPublish): void {
  let at = 1;
  while (packet.readUInt8(at) >= 0x80) at += 1;
  at += 1;
  at += 2 + packet.readUInt16BE(at);
  if ((packet.readUInt8(0) & 0x06) === 0) return onPublish(packet.subarray(at), null);
  onPublish(packet.subarray(at + 2), packet.readUInt16BE(at));
}
