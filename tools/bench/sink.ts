import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";

export type Sink = { url: string; close(): Promise<void> };

/** Told of each message that arrives, in the turn in which its bytes did. */
export type OnMessage = (topic: string, payload: Buffer) => void;

/** The least that an MQTT client needs to be content: answers what must be answered, and forwards nothing. */
export async function startSink(onMessage: OnMessage): Promise<Sink> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    parser.on("packet", (packet) => {
      if (packet.cmd === "publish") onMessage(packet.topic, packet.payload as Buffer);
      const answer = answerTo(packet);
      if (answer !== null) socket.write(mqttPacket.generate(answer));
    });
    parser.on("error", () => socket.destroy());
    socket.on("data", (chunk) => parser.parse(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function answerTo(packet: Packet): Packet | null {
  const { messageId } = packet;
  switch (packet.cmd) {
    case "connect":
      return { cmd: "connack", returnCode: 0, sessionPresent: false };
    case "subscribe":
      return {
        cmd: "suback",
        granted: packet.subscriptions.map(({ qos }) => qos),
        ...(messageId ? { messageId } : {}),
      };
    case "publish":
      return packet.qos === 1 && messageId ? { cmd: "puback", messageId } : null;
    case "pingreq":
      return { cmd: "pingresp" };
    default:
      return null;
  }
}
