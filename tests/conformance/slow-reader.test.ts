import type { IPublishPacket, Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { connectPacket, isConnack, openRaw, type RawMqtt } from "../support/raw-mqtt.ts";
import { watch } from "../support/until.ts";
import { type Broker, BROKERS, startFor, type Users } from "./brokers.ts";

const MACHINES = ["ipc-a", "ipc-b"] as const;
const users: Users = { fast: "scada", slow: "scada", "ipc-a": "machine", "ipc-b": "machine" };

/** Together far more than the buffers of both sockets take. */
const ROUNDS = 64;
const PER_ROUND = 125;
const PADDING = "x".repeat(2000);

describe.each(BROKERS)("a reader that stalls, on $name", ({ name, start }) => {
  it("costs the others nothing, and is served when it reads again", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const slow = await stalledReader(broker);
    test.onTestFinished(() => void slow.socket.destroy());
    const fast = await readerOf(broker);
    const machines = await Promise.all(MACHINES.map((machine) => broker.connect(machine)));

    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const [index, machine] of machines.entries()) {
        for (let repeat = 1; repeat <= PER_ROUND; repeat += 1) {
          const payload = `${(round - 1) * PER_ROUND + repeat} ${PADDING}`;
          machine.publish(`machines/${MACHINES[index]}/status`, payload, { qos: 0, retain: true });
        }
      }
      // A frozen broker would never let this pass.
      await fast.until((seen) => MACHINES.every((machine) => (seen.get(machine) ?? 0) === round * PER_ROUND));
    }

    const newest = `${ROUNDS * PER_ROUND} `;
    slow.socket.resume();
    if (name.includes("control")) {
      // Mosquitto throws the newest away while its queue is full, answers to pings as well; what it promises is that the
      // connection lives. So it is asked again with each chunk that arrives: with the last one the queue is empty.
      slow.socket.on("data", () => slow.send({ cmd: "pingreq" }));
      await slow.next((packet): packet is Packet => packet.cmd === "pingresp");
      return;
    }
    for (const machine of MACHINES) {
      const last = (packet: Packet): packet is IPublishPacket =>
        packet.cmd === "publish" &&
        packet.topic === `machines/${machine}/status` &&
        packet.payload.toString().startsWith(newest);
      expect((await slow.next(last)).retain).toBe(false);
    }
  });
});

/** Subscribes, is confirmed, and stops reading. */
async function stalledReader(broker: Broker): Promise<RawMqtt> {
  const raw = await openRaw(broker.url);
  raw.send(connectPacket("slow"));
  await raw.next(isConnack);
  raw.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "machines/+/status", qos: 0 }] });
  await raw.next((packet): packet is Packet => packet.cmd === "suback");
  raw.socket.pause();
  return raw;
}

/** Counts what arrives of each machine. */
async function readerOf(broker: Broker) {
  const client = await broker.connect("fast");
  const seen = watch(new Map<string, number>());
  client.on("message", (topic) => {
    const machine = topic.split("/")[1] ?? "";
    seen.value.set(machine, (seen.value.get(machine) ?? 0) + 1);
    seen.changed();
  });
  await client.subscribeAsync("machines/+/status");
  return seen;
}
