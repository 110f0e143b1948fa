import type { IConnectPacket } from "mqtt-packet";
import { describe, expect, it, type TestContext } from "vitest";
import { type ByHand, connectByHand } from "../support/by-hand.ts";
import { connectBytes } from "../support/mqtt-bytes.ts";
import { connectPacket, isConnack, openRaw } from "../support/raw-mqtt.ts";
import { BROKERS, startFor, type Users } from "./brokers.ts";

/*
 * The scenarios by which Eclipse Paho tests brokers (eclipse/paho.mqtt.testing, interoperability/client_test.py), each
 * told anew. Its clients are anonymous and use topics such as TopicA/B. Here both clients belong to the fleet, which may
 * publish and read every machine's presence, and differ in their client ids; or to a machine, whose bytes pass the
 * status lane on their way. Where the original sleeps and then looks, these wait for a message behind it.
 */

const users: Users = { fleet: "service", "ipc-0": "machine" };
const OWN = "machines/ipc-0/presence";
const A = "machines/ipc-1/presence";
const B = "machines/ipc-2/presence";
const C = "machines/ipc-3/presence";
const LAST = "machines/ipc-9/presence";
const ALL = "machines/+/presence";

const brokers = BROKERS.map((broker) => ({ ...broker, isControl: broker.name.includes("control") }));

describe.each(brokers)("Paho's scenario on $name", ({ isControl, start }) => {
  /** Connects clients to a broker of this test; null without one. */
  async function clientsOn(test: TestContext) {
    const broker = await startFor(test, start, users);
    if (broker === null) return null;
    const connect = async (clientId: string, change: Partial<IConnectPacket> & { user?: string } = {}) => {
      const { user = "fleet", ...packet } = change;
      const client = await connectByHand(broker.url, user, { clientId, ...packet });
      test.onTestFinished(() => void client.raw.socket.destroy());
      expect(client.connack.returnCode).toBe(0);
      return client;
    };
    return { broker, connect };
  }

  it("1, the basics: each QoS arrives; a second CONNECT and another protocol's name end the connection", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    await (await on.connect("a", { user: "ipc-0" })).disconnect();
    const client = await on.connect("a", { user: "ipc-0" });
    expect(client.connack.sessionPresent).toBe(false);
    await client.subscribe({ [OWN]: 2 });
    for (const qos of [0, 1, 2] as const) await client.publish(OWN, `qos ${qos}`, { qos });
    await client.until((messages) => messages.length === 3);
    expect(client.messages.map(({ text, qos }) => [text, qos])).toEqual([
      ["qos 0", 0],
      ["qos 1", 1],
      ["qos 2", 2],
    ]);

    client.raw.send(connectPacket("ipc-0", { clientId: "a" }));
    await client.raw.closed;
    const stranger = await openRaw(on.broker.url);
    stranger.sendBytes(connectBytes({ protocol: "hj", user: "ipc-0", password: "ipc-0-pass" }));
    await stranger.closed;
  });

  it("2, retained messages: of each QoS, until an empty one clears it", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const topics = [A, B, C];
    const retain = async (text: string) => {
      const client = await on.connect("a");
      expect(client.connack.sessionPresent).toBe(false);
      for (const [index, topic] of topics.entries())
        await client.publish(topic, text, { qos: index as 0 | 1 | 2, retain: true });
      await client.subscribe({ [ALL]: 2 });
      await arrivesLast(client);
      await client.disconnect();
      return withoutLast(client)
        .map(({ topic, qos, retain }) => ({ topic, qos, retain }))
        .toSorted((one, other) => one.qos - other.qos);
    };
    expect(await retain("kept")).toEqual(topics.map((topic, qos) => ({ topic, qos, retain: true })));
    expect(await retain("")).toEqual([]);
  });

  it("3, a client id of no length: refused with 2 for a persistent session, taken for a clean one", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const asked = { clientId: "", user: "fleet", password: "fleet-pass" };
    const persistent = await openRaw(on.broker.url);
    persistent.sendBytes(connectBytes({ ...asked, flags: 0xc0 }));
    expect((await persistent.next(isConnack)).returnCode).toBe(2);
    await persistent.closed;
    const clean = await openRaw(on.broker.url);
    test.onTestFinished(() => void clean.socket.destroy());
    clean.sendBytes(connectBytes(asked));
    expect((await clean.next(isConnack)).returnCode).toBe(0);
  });

  it("4, messages for a session that is away: QoS 1 and 2 wait for it", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const before = await on.connect("a", { clean: false });
    await before.subscribe({ [ALL]: 2 });
    await before.disconnect();
    await publishEachQoS(await on.connect("b"));
    const after = await on.connect("a", { clean: false });
    expect(after.connack.sessionPresent).toBe(true);
    await arrivesLast(after);
    expect(withoutLast(after).filter(({ qos }) => qos > 0)).toMatchObject([
      { topic: B, qos: 1 },
      { topic: C, qos: 2 },
    ]);
  });

  it("5, subscriptions that overlap: one message, of the highest QoS", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const client = await on.connect("a");
    await client.subscribe({ [ALL]: 2, [C]: 1 });
    await client.publish(C, "overlapping", { qos: 2 });
    await arrivesLast(client);
    // Mosquitto 2.0.11 fails the original here: it sends one message, of QoS 1.
    expect(withoutLast(client).map(({ qos }) => qos)).toEqual([isControl ? 1 : 2]);
  });

  it("6, the keepalive: silence ends the connection, and the will is published", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const reader = await on.connect("b");
    await reader.subscribe({ [OWN]: 2 });
    const will = { topic: OWN, payload: Buffer.from("keepalive expiry"), qos: 2, retain: false } as const;
    const silent = await on.connect("a", { user: "ipc-0", keepalive: 1, will });
    await silent.raw.closed;
    await reader.until((messages) => messages.length === 1);
    expect(reader.messages).toMatchObject([{ topic: OWN, text: "keepalive expiry", qos: 2 }]);
  });

  it("7, an exchange that was broken off: the messages come again with the session", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const before = await on.connect("b", { clean: false });
    await before.subscribe({ [ALL]: 2 });
    before.pause();
    await before.publish(A, "one", { qos: 1 });
    await before.publish(C, "two", { qos: 2 });
    await before.until((messages) => messages.length === 2);
    await before.disconnect();
    const after = await on.connect("b", { clean: false });
    expect(after.connack.sessionPresent).toBe(true);
    await arrivesLast(after);
    expect(withoutLast(after)).toMatchObject([
      { topic: A, text: "one", qos: 1 },
      { topic: C, text: "two", qos: 2 },
    ]);
  });

  it("8, a subscription that is refused: 128, and the connection lives", async (test) => {
    // The control has no list of rights here; with one it does the same (mosquitto-acl.test.ts).
    if (isControl) return;
    const on = await clientsOn(test);
    if (on === null) return;
    const client = await on.connect("a");
    expect(await client.subscribe({ "test/nosubscribe": 2, [ALL]: 2 })).toEqual([128, 2]);
    await arrivesLast(client);
  });

  it("9, topics with $: are none of those without it", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const client = await on.connect("b");
    // dollar-topics.test.ts has the filters that begin with one.
    await client.subscribe({ [ALL]: 2 });
    await client.publish(`$${A}`, "", { qos: 1 });
    await arrivesLast(client);
    expect(withoutLast(client)).toEqual([]);
  });

  it("10, an unsubscription ends one subscription and leaves the others", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const reader = await on.connect("b");
    for (const topic of [A, B, C, LAST]) await reader.subscribe({ [topic]: 2 });
    await reader.unsubscribe(A);
    const writer = await on.connect("a");
    for (const topic of [A, B, C]) await writer.publish(topic, "after", { qos: 1 });
    await arrivesLast(reader, writer);
    expect(withoutLast(reader).map(({ topic }) => topic)).toEqual([B, C]);
  });

  // It stands in the original, which does not run it.
  it("11, a connection that breaks off: its will reaches a persistent session", async (test) => {
    const on = await clientsOn(test);
    if (on === null) return;
    const will = { topic: OWN, payload: Buffer.from("client not disconnected"), qos: 2, retain: false } as const;
    const dying = await on.connect("a", { user: "ipc-0", keepalive: 2, will });
    const reader = await on.connect("b", { clean: false });
    await reader.subscribe({ [OWN]: 2 });
    dying.raw.socket.destroy();
    await reader.until((messages) => messages.length === 1);
    expect(reader.messages).toMatchObject([{ topic: OWN, text: "client not disconnected", qos: 2 }]);
  });
});

/** QoS 0 to A, 1 to B, 2 to C. */
async function publishEachQoS(client: ByHand): Promise<void> {
  for (const [qos, topic] of [A, B, C].entries()) await client.publish(topic, `qos ${qos}`, { qos: qos as 0 | 1 | 2 });
  await client.disconnect();
}

/** Publishes a message behind everything, and waits until the reader has it. */
async function arrivesLast(reader: ByHand, writer: ByHand = reader): Promise<void> {
  await writer.publish(LAST, "last", { qos: 2 });
  await reader.until((messages) => messages.some(({ topic }) => topic === LAST));
}

const withoutLast = ({ messages }: ByHand) => messages.filter(({ topic }) => topic !== LAST);
