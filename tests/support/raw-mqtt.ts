import { connect, type Socket } from "node:net";
import mqttPacket, { type IConnackPacket, type Packet } from "mqtt-packet";

/** A connection that sends exactly the packets it is given: for what no client library would send. */
export type RawMqtt = {
  socket: Socket;
  /** Writes all packets in one chunk. */
  send(...packets: Packet[]): void;
  /** Writes bytes. */
  sendBytes(bytes: Uint8Array): void;
  /** The next packet that `wanted` takes, whether it has come already or not. */
  next<P extends Packet>(wanted: (packet: Packet) => packet is P): Promise<P>;
  closed: Promise<void>;
};

export async function openRaw(url: string): Promise<RawMqtt> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  const received: Packet[] = [];
  const waiting = new Set<() => void>();
  parser.on("packet", (packet: Packet) => {
    received.push(packet);
    for (const look of waiting) look();
  });
  socket.on("data", (chunk) => parser.parse(chunk));
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return {
    socket,
    send: (...packets) => void socket.write(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)))),
    sendBytes: (bytes) => void socket.write(bytes),
    next: (wanted) =>
      new Promise((resolve) => {
        const look = () => {
          const index = received.findIndex((packet) => wanted(packet));
          if (index < 0) return;
          waiting.delete(look);
          resolve(received.splice(index, 1)[0] as never);
        };
        waiting.add(look);
        look();
      }),
    closed,
  };
}

export const isConnack = (packet: Packet): packet is IConnackPacket => packet.cmd === "connack";

/** CONNECT of MQTT 3.1.1 for `user`, with the password of the fixed authenticator. */
export function connectPacket(user: string | undefined, change: Record<string, unknown> = {}): Packet {
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    clientId: "raw",
    keepalive: 0,
    ...(user === undefined ? {} : { username: user, password: Buffer.from(`${user}-pass`) }),
    ...change,
  };
}
