import { once } from "node:events";
import { connect, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { type Credentials, openWire, publishFrame, subscribe } from "../wire.ts";

/* What bench:broker does over connections of its own, in a process that can be held to a core. */

export type ConnectOrder = { job: "connect"; port: number; clients: readonly Credentials[] };
export type Qos1Order = {
  job: "qos1";
  port: number;
  reader: Credentials;
  publisher: Credentials;
  inFlight: number;
  seconds: number;
  bytes: number;
};

process.once("message", (order: ConnectOrder | Qos1Order) => {
  void (order.job === "connect" ? connectAll(order) : publishQos1(order)).then((figure) => {
    process.send?.(figure);
    process.disconnect();
  });
});
process.send?.({ ready: true });

/** @returns ms until every one of them has its CONNACK; all begin at once. */
async function connectAll({ port, clients }: ConnectOrder): Promise<number> {
  const began = performance.now();
  const sockets = await Promise.all(
    clients.map(async ({ user, password }) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      await once(socket, "connect");
      const about = { protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 0 } as const;
      const secret = password === undefined ? {} : { password: Buffer.from(password) };
      socket.write(mqttPacket.generate({ cmd: "connect", ...about, clientId: user, username: user, ...secret }));
      const [answer] = (await once(socket, "data")) as [Buffer];
      if (answer[0] !== 0x20 || answer[3] !== 0) throw new Error(`refused: ${answer.toString("hex")}`);
      return socket;
    }),
  );
  const took = performance.now() - began;
  for (const socket of sockets) socket.destroy();
  return took;
}

async function disconnect(socket: Socket): Promise<void> {
  socket.resume();
  socket.end(mqttPacket.generate({ cmd: "disconnect" }));
  await once(socket, "close");
}

/** @returns acknowledged publishes a second, while a durable subscriber that is away is owed each of them. */
async function publishQos1(o: Qos1Order): Promise<number> {
  // A clean session under the same id forgets what waits from the round before.
  await disconnect(await openWire(o.port, { ...o.reader, client: "durable" }));
  const durable = await openWire(o.port, { ...o.reader, client: "durable" }, false);
  await subscribe(durable, "machines/+/summary", 1);
  await disconnect(durable);

  const socket = await openWire(o.port, o.publisher);
  const template = publishFrame({ topic: `machines/${o.publisher.user}/summary`, bytes: o.bytes, qos: 1 });
  let messageId = 0;
  const frames = (count: number) =>
    Buffer.concat(
      Array.from({ length: count }, () => {
        messageId = (messageId % 65_535) + 1;
        const frame = Buffer.from(template);
        frame.writeUInt16BE(messageId, frame.length - o.bytes - 2);
        return frame;
      }),
    );
  let acknowledged = 0;
  let rest = 0;
  const began = performance.now();
  const ends = began + o.seconds * 1000;
  socket.write(frames(o.inFlight));
  return new Promise((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      // PUBACK has four bytes (MQTT 3.1.1 §3.4), and nothing else comes.
      const bytes = rest + chunk.length;
      const count = Math.floor(bytes / 4);
      rest = bytes % 4;
      acknowledged += count;
      const now = performance.now();
      if (now < ends) socket.write(frames(count));
      else {
        socket.destroy();
        resolve((acknowledged * 1000) / (now - began));
      }
    });
  });
}
