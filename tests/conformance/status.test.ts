import type { MqttClient } from "mqtt";
import mqttPacket, { type IPublishPacket, type Packet } from "mqtt-packet";
import { describe, expect, it, type TestContext } from "vitest";
import { type Inbox, inboxOf } from "../support/inbox.ts";
import { connectPacket, isConnack, openRaw, type RawMqtt } from "../support/raw-mqtt.ts";
import { type Broker, BROKERS, startFor, type Users } from "./brokers.ts";

/*
 * What everybody may expect of statuses, whichever way the broker carries them: our hub has a lane of its own for them
 * (broker/lane), which nobody can tell but by its speed.
 */

const users: Users = { scada: "scada", other: "scada", "ipc-a": "machine" };
const STATUS = "machines/ipc-a/status";
const SUMMARY = "machines/ipc-a/summary";

const publish = (payload: string, change: Partial<IPublishPacket> = {}): Packet => ({
  cmd: "publish",
  topic: STATUS,
  payload,
  qos: 0,
  retain: true,
  dup: false,
  ...change,
});
const bytesOf = (...packets: Packet[]) => Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)));
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const statuses = (from: number, to: number) => numbers(from, to).map((number) => publish(String(number)));
const statusesIn = ({ messages }: Inbox) => messages.filter(({ topic }) => topic === STATUS);
const valuesIn = (inbox: Inbox) => statusesIn(inbox).map(({ text }) => Number.parseInt(text, 10));
const has = (text: string) => (messages: { text: string }[]) => messages.some((message) => message.text === text);

/** A machine whose bytes the test writes, and a reader of what it is told to. */
async function machineAndReader(broker: Broker, test: TestContext, filters: string[] = [STATUS, SUMMARY]) {
  const machine = await machineOf(broker, test);
  const { reader, inbox } = await readerOf(broker, filters);
  return { machine, reader, inbox };
}

async function machineOf(broker: Broker, test: TestContext, change: Record<string, unknown> = {}): Promise<RawMqtt> {
  const machine = await openRaw(broker.url);
  test.onTestFinished(() => void machine.socket.destroy());
  machine.send(connectPacket("ipc-a", change));
  expect((await machine.next(isConnack)).returnCode).toBe(0);
  return machine;
}

async function readerOf(
  broker: Broker,
  filters: string[],
  user = "scada",
): Promise<{ reader: MqttClient; inbox: Inbox }> {
  const reader = await broker.connect(user);
  const inbox = inboxOf(reader);
  await reader.subscribeAsync(filters);
  return { reader, inbox };
}

/** What is retained on the status topic, null when nothing is: asked with a message behind it, so that nothing can follow. */
async function retainedStatus(broker: Broker, machine: RawMqtt): Promise<string | null> {
  const { inbox } = await readerOf(broker, [STATUS], "other");
  const { reader, inbox: end } = await readerOf(broker, [SUMMARY], "other");
  machine.send(publish("end", { topic: SUMMARY, retain: false }));
  await end.on(SUMMARY);
  await reader.endAsync();
  return statusesIn(inbox).find(({ retain }) => retain)?.text ?? null;
}

describe.each(BROKERS)("statuses on $name", ({ name, start }) => {
  it.for(["#", "machines/#", "machines/+/+", "+/+/status", "machines/+/status", STATUS, "machines/ipc-a/#"])(
    "reach a reader of %s in order, each once and without the retain flag",
    async (filter, test) => {
      const broker = await startFor(test, start, users);
      if (broker === null) return;
      const { machine, inbox } = await machineAndReader(broker, test, [filter]);
      machine.send(...statuses(1, 3));
      machine.send(...statuses(4, 4));
      await inbox.until(has("4"));
      machine.send(...statuses(5, 200));
      await inbox.until(has("200"));
      expect(valuesIn(inbox)).toEqual(numbers(1, 200));
      expect(statusesIn(inbox).every(({ retain, qos }) => !retain && qos === 0)).toBe(true);
    },
  );

  it("come whole, however their bytes are cut", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const { machine, inbox } = await machineAndReader(broker, test);
    for (const byte of bytesOf(...statuses(1, 5))) machine.sendBytes(Buffer.from([byte]));
    const bytes = bytesOf(...statuses(6, 100));
    for (let at = 0; at < bytes.length; at += 41) machine.sendBytes(bytes.subarray(at, at + 41));
    await inbox.until(has("100"));
    expect(valuesIn(inbox)).toEqual(numbers(1, 100));
  });

  it("leave everything between them in its place", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const { machine, inbox } = await machineAndReader(broker, test);
    machine.send(
      ...statuses(1, 2),
      { cmd: "pingreq" },
      publish("event", { topic: SUMMARY, qos: 1, messageId: 7, retain: false }),
      ...statuses(3, 3),
      publish("4", { qos: 1, messageId: 8 }),
      publish("5", { retain: false }),
      publish(`6 ${"x".repeat(2000)}`),
      ...statuses(7, 8),
    );
    await inbox.until(has("8"));
    expect(valuesIn(inbox)).toEqual(numbers(1, 8));
    await machine.next((packet): packet is Packet => packet.cmd === "pingresp");
    for (const id of [7, 8])
      await machine.next((packet): packet is Packet => packet.cmd === "puback" && packet.messageId === id);
    expect(inbox.messages.map(({ text }) => text)).toContain("event");
  });

  it("are retained: who subscribes gets the newest at once, and never an older one after it", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const machine = await machineOf(broker, test);
    let sent = 0;
    const speak = setInterval(() => machine.send(...statuses(sent + 1, (sent += 5))), 1);
    test.onTestFinished(() => clearInterval(speak));
    const { inbox: first } = await readerOf(broker, [STATUS]);
    await first.until((messages) => messages.length > 20);

    const { inbox } = await readerOf(broker, ["machines/#"], "other");
    await inbox.until((messages) => messages.filter(({ retain }) => !retain).length > 50);
    clearInterval(speak);
    const values = valuesIn(inbox);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(statusesIn(inbox).filter(({ retain }) => retain)).toHaveLength(1);
    const live = statusesIn(inbox)
      .filter(({ retain }) => !retain)
      .map(({ text }) => Number(text));
    expect(live).toEqual(numbers(live[0] ?? 0, live.at(-1) ?? 0));
  });

  it("are cleared by an empty one", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const { machine, inbox } = await machineAndReader(broker, test);
    machine.send(...statuses(1, 9));
    await inbox.until(has("9"));
    expect(await retainedStatus(broker, machine)).toBe("9");
    machine.send(...statuses(10, 10), publish(""));
    await inbox.until(has(""));
    expect(await retainedStatus(broker, machine)).toBeNull();
    machine.send(...statuses(11, 11));
    await inbox.until(has("11"));
    expect(await retainedStatus(broker, machine)).toBe("11");
  });

  it("keep what is retained when one comes without the flag, and take what another client of the machine retains", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const { machine, inbox } = await machineAndReader(broker, test);
    machine.send(...statuses(1, 3), publish("4", { retain: false }));
    await inbox.until(has("4"));
    expect(await retainedStatus(broker, machine)).toBe("3");
    const second = await machineOf(broker, test, { clientId: "second" });
    second.send(...statuses(5, 6));
    await inbox.until(has("6"));
    machine.send(publish("7", { qos: 1, messageId: 3 }));
    await inbox.until(has("7"));
    expect(await retainedStatus(broker, machine)).toBe("7");
    expect(valuesIn(inbox)).toEqual(numbers(1, 7));
  });

  it("end with the will that is left on their topic", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const will = { topic: STATUS, payload: Buffer.from("gone"), qos: 0, retain: true };
    const machine = await machineOf(broker, test, { will });
    const { inbox } = await readerOf(broker, [STATUS]);
    machine.send(...statuses(1, 50));
    await inbox.until(has("50"));
    machine.socket.destroy();
    await inbox.until(has("gone"));
    expect(statusesIn(inbox).map(({ text }) => text)).toEqual([...numbers(1, 50).map(String), "gone"]);
    expect(await retainedStatus(broker, await machineOf(broker, test))).toBe("gone");
  });

  it("are taken from the connection that took over only", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const { machine, inbox } = await machineAndReader(broker, test);
    machine.send(...statuses(1, 20));
    await inbox.until(has("20"));
    const second = await machineOf(broker, test);
    machine.send(...statuses(1001, 1010));
    await machine.closed;
    second.send(...statuses(21, 40));
    await inbox.until(has("40"));
    expect(valuesIn(inbox)).toEqual(numbers(1, 40));
  });

  it("end for a reader that unsubscribes, and come again when it subscribes again", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const { machine, reader, inbox } = await machineAndReader(broker, test);
    machine.send(...statuses(1, 10));
    await inbox.until(has("10"));
    await reader.unsubscribeAsync(STATUS);
    machine.send(...statuses(11, 20), publish("between", { topic: SUMMARY, retain: false }));
    await inbox.until(has("between"));
    await reader.subscribeAsync(STATUS);
    machine.send(...statuses(21, 30));
    await inbox.until(has("30"));
    expect(valuesIn(inbox)).toEqual([...numbers(1, 10), 20, ...numbers(21, 30)]);
  });

  it("reach a reader whose subscriptions overlap once", async (test) => {
    const broker = await startFor(test, start, users);
    // The control delivers a copy for each of them, as MQTT 3.1.1 §3.3.5 allows.
    if (broker === null || name.includes("control")) return;
    const { machine, inbox } = await machineAndReader(broker, test, ["machines/+/status", "machines/#", STATUS]);
    machine.send(...statuses(1, 50));
    await inbox.until(has("50"));
    expect(valuesIn(inbox)).toEqual(numbers(1, 50));
  });

  it("keep their connection alive, and silence ends it after one and a half times the keepalive", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const machine = await machineOf(broker, test, { keepalive: 1 });
    const { inbox } = await readerOf(broker, [STATUS]);
    let sent = 0;
    const speak = setInterval(() => machine.send(...statuses(sent + 1, (sent += 1))), 250);
    test.onTestFinished(() => clearInterval(speak));
    await inbox.until(has("8"));
    expect(machine.socket.closed).toBe(false);
    clearInterval(speak);
    const silentFrom = performance.now();
    await machine.closed;
    expect(performance.now() - silentFrom).toBeGreaterThan(1000);
  });
});
