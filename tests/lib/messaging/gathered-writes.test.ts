import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";
import { expect, it, onTestFinished } from "vitest";
import { watch } from "../../support/until.ts";
import { connect } from "./open.ts";

/** A broker that notes which packets came in one chunk, and says what the test tells it to. */
async function startNoting() {
  const chunks = watch<string[][]>([]);
  let socket: Socket | undefined;
  const server = createServer({ noDelay: true }, (accepted) => {
    socket = accepted;
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    let packets: Packet[] = [];
    parser.on("packet", (packet: Packet) => packets.push(packet));
    accepted.on("data", (bytes) => {
      packets = [];
      parser.parse(bytes);
      chunks.value.push(packets.map(({ cmd }) => cmd));
      for (const { cmd, messageId = 0 } of packets) {
        if (cmd === "connect") say({ cmd: "connack", returnCode: 0, sessionPresent: false });
        if (cmd === "subscribe") say({ cmd: "suback", granted: [1], messageId });
      }
      chunks.changed();
    });
  });
  const say = (packet: Packet) => socket?.write(mqttPacket.generate(packet));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    socket?.destroy();
    server.close();
  });
  const publish = (topic: string, messageId: number) =>
    say({ cmd: "publish", topic, payload: "x", qos: 1, messageId, dup: false, retain: false });
  return { url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, chunks, publish };
}

it("sends what is published in one turn in one piece, acknowledgements too", async () => {
  const broker = await startNoting();
  const link = await connect(broker.url, "writer");
  await link.subscribe("ask", () => link.publish("told", "y"));
  await Promise.all([link.publish("a", "1"), link.publish("b", "2"), link.publish("c", "3")]);
  await broker.chunks.until((chunks) => chunks.length === 3);
  broker.publish("ask", 1);
  await broker.chunks.until((chunks) => chunks.length === 4);
  expect(broker.chunks.value.slice(2)).toEqual([
    ["publish", "publish", "publish"],
    ["publish", "puback"],
  ]);
});

it("acknowledges what nothing is said to all the same", async () => {
  const broker = await startNoting();
  const link = await connect(broker.url, "reader");
  await link.subscribe("quiet", () => {});
  broker.publish("quiet", 1);
  await broker.chunks.until((chunks) => chunks.length === 3);
  expect(broker.chunks.value[2]).toEqual(["puback"]);
});
