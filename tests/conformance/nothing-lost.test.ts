import type { MqttClient } from "mqtt";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Broker, BROKERS, startBareAedes, startFor, type Users } from "./brokers.ts";

const RETAINED = 300;
const QUEUED = 100;
const WILLS = 5;
const dying = Array.from({ length: WILLS }, (_, index) => `ipc-w${index}`);
const noisy = ["ipc-n0", "ipc-n1", "ipc-n2"];

const users: Users = {
  eyes: "inspector",
  "ipc-a": "machine",
  ...Object.fromEntries([...dying, ...noisy].map((name) => [name, "machine"] as const)),
};

const topic = {
  retained: (index: number) => `machines/ipc-a/witness/audit/response/${index}`,
  queued: (index: number) => `machines/ipc-a/witness/production/response/${index}`,
  will: (name: string) => `machines/${name}/presence`,
};
const expected = [...range(RETAINED).map(topic.retained), ...range(QUEUED).map(topic.queued), ...dying.map(topic.will)];

describe.each(BROKERS)("a subscriber to # beside heavy QoS 0 traffic on $name", ({ start }) => {
  it("gets every retained message, every will and every QoS 1 message", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const seen = await watch(broker);
    const noise = await makeNoise(broker);
    await publishEverything(broker);
    await seen.all(expected);
    noise.stop();
    expect(seen.missing(expected)).toEqual([]);
  });

  it("gets every retained state at the subscription", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const noise = await makeNoise(broker);
    await publishEverything(broker);
    const seen = await watch(broker);
    const states = [...range(RETAINED).map(topic.retained), ...dying.map(topic.will)];
    await seen.all(states);
    noise.stop();
    expect(seen.missing(states)).toEqual([]);
  });
});

describe("bare Aedes under the same conditions", () => {
  it("loses messages: the reason for broker/deliver-once.ts", async () => {
    const broker = await startBareAedes();
    onTestFinished(() => broker.close());
    const seen = await watch(broker);
    const noise = await makeNoise(broker);
    await publishEverything(broker);
    // Sent by whoever lost the most, once all is acknowledged: nothing of the above can come after it.
    await seen.marker(await broker.connect("ipc-end"), "machines/ipc-end/status");
    noise.stop();
    const missing = seen.missing(expected);
    expect(missing.filter((name) => name.includes("/audit/"))).toHaveLength(RETAINED);
    expect(missing.filter((name) => name.includes("/production/")).length).toBeGreaterThan(QUEUED / 2);
    expect(missing.filter((name) => name.includes("/presence"))).toHaveLength(WILLS);
  });
});

/** Subscribes as MQTT Explorer does by default. */
async function watch(broker: Broker) {
  const client = await broker.connect("eyes");
  const topics = new Set<string>();
  client.on("message", (name) => void topics.add(name));
  await client.subscribeAsync(["#", "$SYS/#"], { qos: 1 });
  const missing = (wanted: readonly string[]) => wanted.filter((name) => !topics.has(name));
  const until = (done: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!done()) return;
        client.off("message", look);
        resolve();
      };
      client.on("message", look);
      look();
    });
  return {
    missing,
    all: (wanted: readonly string[]) => until(() => missing(wanted).length === 0),
    async marker(sender: MqttClient, name: string) {
      const arrived = until(() => topics.has(name));
      const repeat = setInterval(() => sender.publish(name, "end"), 20);
      await arrived;
      clearInterval(repeat);
    },
  };
}

/** Keeps QoS 0 traffic going until stopped: ten statuses per machine every few milliseconds. */
async function makeNoise(broker: Broker) {
  const clients = await Promise.all(noisy.map((name) => broker.connect(name)));
  const burst = () => {
    for (const [index, client] of clients.entries()) {
      for (const repeat of range(10)) client.publish(`machines/${noisy[index]}/status`, `noise ${repeat}`);
    }
  };
  burst();
  const timer = setInterval(burst, 3);
  return { stop: () => clearInterval(timer) };
}

/** Retained and QoS 1 messages, each with a QoS 0 message behind it on the same connection, then wills by cut connections. */
async function publishEverything(broker: Broker): Promise<void> {
  const source = await broker.connect("ipc-a");
  for (const index of range(RETAINED)) {
    source.publish(topic.retained(index), "kept", { retain: true });
    source.publish("machines/ipc-a/status", "behind a retained message");
  }
  const acknowledged = range(QUEUED).map((index) => {
    const done = source.publishAsync(topic.queued(index), "queued", { qos: 1 });
    source.publish("machines/ipc-a/status", "behind a QoS 1 message");
    return done;
  });
  await Promise.all(acknowledged);
  await Promise.all(dying.map((name) => dieWithWill(broker, name)));
}

async function dieWithWill(broker: Broker, name: string): Promise<void> {
  const client = await broker.connect(name, {
    will: { topic: topic.will(name), payload: Buffer.from("gone"), qos: 1, retain: true },
  });
  const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
  client.stream.destroy();
  await gone;
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
