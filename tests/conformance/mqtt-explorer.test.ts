import { performance } from "node:perf_hooks";
import type { MqttClient } from "mqtt";
import type { Packet } from "mqtt-packet";
import { describe, expect, it, type TestContext } from "vitest";
import { VIEW_RATES } from "../../lib/contracts/view-rates.ts";
import { publishBytes } from "../support/mqtt-bytes.ts";
import { connectPacket, isConnack, openRaw, type RawMqtt } from "../support/raw-mqtt.ts";
import { watch } from "../support/until.ts";
import { type Broker, BROKERS, startFor, type Users } from "./brokers.ts";

/*
 * MQTT Explorer beside a floor at work, as it connects by default: MQTT 3.1.1, a clean session, and the subscriptions `#`
 * and `$SYS/#` of QoS 0, one after the other.
 */

const MACHINES = Array.from({ length: 50 }, (_, index) => `ipc-${index}`);
const users: Users = { eyes: "inspector", ...Object.fromEntries(MACHINES.map((name) => [name, "machine"] as const)) };

/** Statuses of each machine in one write, and ms between two: a thousand a second. */
const PER_WRITE = 5;
const VIEW_HZ = 8;
/** Looks at each status that the test waits for. */
const LOOKS = 6;

/** The topics that MQTT Explorer's broker panel shows (app/src/components/SettingsDrawer/BrokerStatistics.tsx). */
const PANEL = [
  "version",
  "clients/total",
  "subscriptions/count",
  "messages/received",
  "messages/sent",
  "load/messages/received/5min",
  "load/messages/sent/5min",
  "heap/current",
  "heap/maximum",
].map((name) => `$SYS/broker/${name}`);

const topicOf = (machine: string, leaf: "status" | "summary" | "presence") => `machines/${machine}/${leaf}`;
const brokers = BROKERS.map((broker) => ({ ...broker, isControl: broker.name.includes("control") }));

describe.each(brokers)("MQTT Explorer on $name, beside 50 machines at 1 kHz", ({ isControl, start }) => {
  it("gets everything retained, the panel's figures, and statuses at the inspector's view rate", async (test) => {
    const broker = await startFor(test, start, users, { viewRates: { ...VIEW_RATES, inspector: VIEW_HZ } });
    if (broker === null) return;
    const floor = await openFloor(broker, test);
    const explorer = await broker.connect("eyes", { clientId: "mqtt-explorer-1f2e3d4c", clean: true });
    const tree = treeOf(explorer);
    const stop = floor.run();
    test.onTestFinished(stop);
    const startedAt = performance.now();
    await explorer.subscribeAsync("#", { qos: 0 });
    await explorer.subscribeAsync("$SYS/#", { qos: 0 });

    const statuses = MACHINES.map((machine) => topicOf(machine, "status"));
    await tree.until(() => statuses.every((topic) => tree.node(topic).live.length >= LOOKS));
    const seconds = (performance.now() - startedAt) / 1000;
    const looks = statuses.map((topic) => [...tree.node(topic).live]);
    stop();

    for (const leaf of ["summary", "presence"] as const) {
      const topics = MACHINES.map((machine) => topicOf(machine, leaf));
      await tree.until(() => topics.every((topic) => tree.node(topic).retained.length > 0));
      expect(topics.flatMap((topic) => tree.node(topic).retained)).toEqual(
        MACHINES.map((machine) => `${leaf} ${machine}`),
      );
    }
    await tree.until(() => PANEL.every((topic) => tree.newest(topic) !== undefined));
    expect(PANEL.filter((topic) => tree.newest(topic) === "")).toEqual([]);
    for (const topic of statuses) expect(tree.node(topic).retained.length).toBeLessThanOrEqual(1);
    if (isControl) return;

    expect(floor.sent()).toBeGreaterThan(10 * LOOKS);
    for (const seen of looks) {
      expect(seen.length).toBeLessThanOrEqual(VIEW_HZ * seconds + 1);
      expect(seen.map(Number)).toEqual(seen.map(Number).toSorted((a, b) => a - b));
    }
    // What it saw last is the newest there is.
    await tree.until(() => statuses.every((topic) => tree.newest(topic) === String(floor.sent())));
  });
});

/** Machines that are in, each with its presence and summary retained, and ready to publish statuses. */
async function openFloor(broker: Broker, test: TestContext) {
  const machines = await Promise.all(MACHINES.map((name) => arrive(broker, name)));
  test.onTestFinished(() => {
    for (const { socket } of machines) socket.destroy();
  });
  let sent = 0;
  const speak = () => {
    const numbers = Array.from({ length: PER_WRITE }, () => (sent += 1));
    for (const [index, machine] of machines.entries()) {
      const topic = topicOf(MACHINES[index] ?? "", "status");
      const frames = numbers.map((number) => publishBytes(topic, { first: RETAINED_QOS0, payload: String(number) }));
      machine.sendBytes(Buffer.concat(frames));
    }
  };
  return {
    /** Statuses of each machine. */
    sent: () => sent,
    run() {
      const timer = setInterval(speak, PER_WRITE);
      return () => clearInterval(timer);
    },
  };
}

const RETAINED_QOS0 = 0x31;
const RETAINED_QOS1 = 0x33;

async function arrive(broker: Broker, name: string): Promise<RawMqtt> {
  const machine = await openRaw(broker.url);
  machine.send(connectPacket(name, { clientId: name }));
  expect((await machine.next(isConnack)).returnCode).toBe(0);
  machine.sendBytes(publishBytes(topicOf(name, "summary"), { first: RETAINED_QOS0, payload: `summary ${name}` }));
  machine.sendBytes(
    publishBytes(topicOf(name, "presence"), { first: RETAINED_QOS1, id: 1, payload: `presence ${name}` }),
  );
  await machine.next((packet): packet is Packet => packet.cmd === "puback");
  return machine;
}

type Node = { retained: string[]; live: string[] };

/** What a client has seen of each topic. */
function treeOf(client: MqttClient) {
  const nodes = new Map<string, Node>();
  const watched = watch(nodes);
  const node = (topic: string): Node => {
    const known = nodes.get(topic) ?? { retained: [], live: [] };
    nodes.set(topic, known);
    return known;
  };
  client.on("message", (topic, payload, { retain }) => {
    node(topic)[retain ? "retained" : "live"].push(payload.toString());
    watched.changed();
  });
  return {
    node,
    newest: (topic: string) => node(topic).live.at(-1) ?? node(topic).retained.at(-1),
    until: watched.until,
  };
}
