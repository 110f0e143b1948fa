import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { once } from "node:events";
import mqttPacket, { type Packet } from "mqtt-packet";
import { afterEach, describe, expect, test } from "vitest";
import { createRateMeter } from "../../../edge-agent/status/rate-meter.ts";
import { createStatusFrame } from "../../../edge-agent/status/status-frame.ts";
import { createStatusLane } from "../../../edge-agent/status/status-lane.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [[Socket], unknown];
  cleanups.push(
    () => [near, far].forEach((socket) => socket.destroy()),
    () => server.close(),
  );
  return { near, far };
}

function laneOn(stream: Socket | null) {
  const meter = createRateMeter(0);
  const link = { stream: () => stream };
  return { lane: createStatusLane({ link, frame: createStatusFrame("ipc-07"), meter, wallClock: () => 42 }), meter };
}

/** Resolves with the packets that arrive until `enough` says so. */
function packetsOf(far: Socket, enough: (packets: Packet[]) => boolean): Promise<Packet[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Packet[]>();
  const packets: Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on("packet", (packet) => {
    packets.push(packet);
    if (enough(packets)) resolve(packets);
  });
  parser.on("error", reject);
  far.on("data", (chunk) => parser.parse(chunk));
  return promise;
}

const isStatus = (packet: Packet) => packet.cmd === "publish" && packet.topic === "machines/ipc-07/status";

describe("the status lane", () => {
  test("queues nothing while the reader stands still, skips, and goes on with the newest", async () => {
    const { near, far } = await socketPair();
    const { lane } = laneOn(near);
    far.pause();
    let seq = 0;
    while (lane.skipped() < 1000) lane.tick(++seq, seq);
    expect(near.writableLength).toBeLessThan(512);

    const sent = seq - lane.skipped();
    const arrived = packetsOf(far, (packets) => packets.length === sent + 1);
    far.resume();
    // So little waits that there is no "drain": the lane looks at what is left, and so does the test.
    while (near.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
    lane.tick(++seq, seq);
    const packets = await arrived;
    const numbers = packets.map(
      (packet) => (JSON.parse(String((packet as { payload: Buffer }).payload)) as { seq: number }).seq,
    );
    expect(packets.every(isStatus)).toBe(true);
    expect(numbers.at(-1)).toBe(seq);
    expect(numbers.length).toBe(seq - lane.skipped());
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });

  test("never cuts into a packet of the MQTT client, nor the client into a status", async () => {
    const { near, far } = await socketPair();
    const { lane } = laneOn(near);
    const arrived = packetsOf(far, (packets) => packets.filter((packet) => !isStatus(packet)).length === 300);
    for (let round = 0; round < 300; round++) {
      const payload = Buffer.alloc(1 + ((round * 7919) % 40_000), round);
      lane.tick(round + 1, round);
      mqttPacket.writeToStream({ cmd: "publish", topic: "other", payload, qos: 0, dup: false, retain: false }, near);
      lane.tick(round + 2, round);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const others = (await arrived).filter((packet) => !isStatus(packet)) as { topic: string; payload: Buffer }[];
    expect(others.map(({ topic, payload }) => [topic, payload.length])).toEqual(
      Array.from({ length: 300 }, (_, round) => ["other", 1 + ((round * 7919) % 40_000)]),
    );
  });

  test("sends and counts nothing while there is no connection", () => {
    const { lane, meter } = laneOn(null);
    lane.tick(1, 1);
    expect([lane.skipped(), meter.take(1000).rateMilliHz]).toEqual([0, 0]);
  });

  test("a destroyed stream is no stream", async () => {
    const { near } = await socketPair();
    const { lane, meter } = laneOn(near);
    near.destroy();
    lane.tick(1, 1);
    expect(meter.take(1000).rateMilliHz).toBe(0);
  });
});
