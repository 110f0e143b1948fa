import type { MqttClient } from "mqtt";
import { describe, expect, it } from "vitest";
import { BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { eyes: "inspector", "ipc-a": "machine" };

const COUNT = /^\d+$/;
const RATE = /^\d+\.\d\d$/;

/** What MQTT Explorer's panel reads, and the form in which Mosquitto writes it. */
const FORMATS: Readonly<Record<string, RegExp>> = {
  version: /^\w+ version \d+\.\d+\.\d+$/,
  uptime: /^\d+ seconds$/,
  "clients/total": COUNT,
  "clients/connected": COUNT,
  "subscriptions/count": COUNT,
  "messages/received": COUNT,
  "messages/sent": COUNT,
  "publish/messages/received": COUNT,
  "publish/messages/sent": COUNT,
  "publish/messages/dropped": COUNT,
  "load/messages/received/1min": RATE,
  "load/messages/received/5min": RATE,
  "load/messages/received/15min": RATE,
  "load/messages/sent/1min": RATE,
  "load/messages/sent/5min": RATE,
  "load/messages/sent/15min": RATE,
  "heap/current": COUNT,
  "heap/maximum": COUNT,
  "store/messages/count": COUNT,
  "retained messages/count": COUNT,
};
const names = Object.keys(FORMATS);

describe.each(BROKERS)("the broker's own figures on $name", ({ start }) => {
  it("are retained, by name and form as MQTT Explorer reads them", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const machine = await broker.connect("ipc-a");
    await machine.publishAsync("machines/ipc-a/summary", "{}", { qos: 1, retain: true });
    const live = await figuresOf(await broker.connect("eyes"), (values) => {
      const atLeast = (name: string, count: number) => Number(values.get(name)) >= count;
      return (
        atLeast("clients/connected", 2) && atLeast("subscriptions/count", 1) && names.every((name) => values.has(name))
      );
    });
    const isRetained = (_: Values, retained: ReadonlySet<string>) => names.every((name) => retained.has(name));
    const values = await figuresOf(await broker.connect("eyes", { clientId: "later" }), isRetained);
    const wrong = names.filter((name) => !FORMATS[name]?.test(values.get(name) ?? ""));
    expect(wrong.map((name) => [name, values.get(name)])).toEqual([]);
    expect(Number(live.get("clients/total"))).toBeGreaterThanOrEqual(2);
    expect(Number(live.get("retained messages/count"))).toBeGreaterThanOrEqual(1);
  });
});

type Values = ReadonlyMap<string, string>;

/** Subscribes, and resolves with the values once they are as asked. */
async function figuresOf(
  client: MqttClient,
  enough: (values: Values, retained: ReadonlySet<string>) => boolean,
): Promise<Values> {
  const values = new Map<string, string>();
  const retained = new Set<string>();
  const complete = new Promise<void>((resolve) => {
    client.on("message", (topic, payload, packet) => {
      const name = topic.slice("$SYS/broker/".length);
      values.set(name, payload.toString());
      if (packet.retain) retained.add(name);
      if (enough(values, retained)) resolve();
    });
  });
  await client.subscribeAsync("$SYS/broker/#");
  await complete;
  return values;
}
