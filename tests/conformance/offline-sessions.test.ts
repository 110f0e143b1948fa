import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import type { IPublishPacket, IPubrelPacket, Packet } from "mqtt-packet";
import { describe, expect, it, onTestFinished, type TestContext } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { type Inbox, inboxOf } from "../support/inbox.ts";
import { killableHub } from "../support/killable-hub.ts";
import { connectPacket, isConnack, openRaw } from "../support/raw-mqtt.ts";
import { CONTROL_NOT_RUN, findMosquitto, freePort, running } from "./brokers.ts";

/*
 * Persistent sessions while their clients and the broker are away. Our hub is killed with SIGKILL; Mosquitto, which does not
 * promise to outlive that, is stopped and started.
 */

const USERS = { eyes: "inspector", "ipc-a": "machine" } as const;
const SESSION: IClientOptions = { clean: false, clientId: "historian" };
const TOPIC = "machines/ipc-a/summary";
const LAST = "machines/ipc-a/presence";

type Restartable = { start(): Promise<string>; stop(): Promise<void> };

const BROKERS: readonly { name: string; make: () => Promise<Restartable | null> }[] = [
  {
    name: "our hub, killed",
    async make() {
      const hub = killableHub(join(await temporaryFolder(), "sessions"), USERS);
      return { start: hub.start, stop: hub.kill };
    },
  },
  { name: "Mosquitto (control), stopped", make: restartableMosquitto },
];

describe.each(BROKERS)("a session whose client is away, on $name", ({ make }) => {
  it("gets what was acknowledged in order and once, over two starts of the broker", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    await (await broker.connect("eyes", SESSION)).subscribed({ [TOPIC]: { qos: 1 }, [LAST]: { qos: 1 } });
    const sent: string[] = [];
    for (const round of [1, 2, 3]) {
      await broker.restart();
      const machine = (await broker.connect("ipc-a")).client;
      const texts = Array.from({ length: 50 }, (_, index) => `${round}/${index}`);
      await Promise.all(texts.map((text) => machine.publishAsync(TOPIC, text, { qos: 1 })));
      sent.push(...texts);
    }
    await (await broker.connect("ipc-a")).client.publishAsync(LAST, "end", { qos: 1 });
    const { inbox } = await broker.connect("eyes", SESSION);
    await inbox.on(LAST);
    expect(textsOn(inbox, TOPIC)).toEqual(sent);
  });

  // Row 4: a store for Aedes forgot the wildcard at QoS 1.
  it("keeps a wildcard at QoS 1 beside a later subscription at QoS 0", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    const { subscribed } = await broker.connect("eyes", SESSION);
    await subscribed({ "machines/#": { qos: 1 } }, false);
    await subscribed({ "machines/+/summary": { qos: 0 }, "machines/ipc-a/#": { qos: 0 } });
    const machine = (await broker.connect("ipc-a")).client;
    await machine.publishAsync(LAST, "one", { qos: 1 });
    await broker.restart();
    const again = (await broker.connect("ipc-a")).client;
    await again.publishAsync(LAST, "two", { qos: 1 });
    const { inbox } = await broker.connect("eyes", SESSION);
    await inbox.until((messages) => messages.length === 2);
    expect(textsOn(inbox, LAST)).toEqual(["one", "two"]);
  });

  it("is sent nothing of a subscription that it took back", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    const { client, subscribed } = await broker.connect("eyes", SESSION);
    await subscribed({ [TOPIC]: { qos: 1 }, [LAST]: { qos: 1 } }, false);
    await client.unsubscribeAsync(TOPIC);
    await client.endAsync();
    await broker.restart();
    const machine = (await broker.connect("ipc-a")).client;
    await machine.publishAsync(TOPIC, "unwanted", { qos: 1 });
    await machine.publishAsync(LAST, "wanted", { qos: 1 });
    const { inbox } = await broker.connect("eyes", SESSION);
    await inbox.on(LAST);
    expect(inbox.messages.map(({ text }) => text)).toEqual(["wanted"]);
  });

  it("is over when its client asks for a clean one", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    await (await broker.connect("eyes", SESSION)).subscribed({ [TOPIC]: { qos: 1 } });
    const machine = (await broker.connect("ipc-a")).client;
    await machine.publishAsync(TOPIC, "before", { qos: 1 });
    await (await broker.connect("eyes", { ...SESSION, clean: true })).client.endAsync();
    await broker.restart();
    const { inbox, subscribed } = await broker.connect("eyes", SESSION);
    await subscribed({ [LAST]: { qos: 1 } }, false);
    await (await broker.connect("ipc-a")).client.publishAsync(LAST, "end", { qos: 1 });
    await inbox.on(LAST);
    expect(inbox.messages.map(({ text }) => text)).toEqual(["end"]);
  });

  it("finds the retained message of QoS 1 that was acknowledged", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    await (await broker.connect("ipc-a")).client.publishAsync(LAST, "here", { qos: 1, retain: true });
    await broker.restart();
    const { inbox, subscribed } = await broker.connect("eyes");
    await subscribed({ "machines/#": { qos: 1 } }, false);
    expect(await inbox.on(LAST)).toMatchObject({ text: "here", retain: true });
  });

  it("gets a message that was published with the retain flag as any other", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    await (await broker.connect("eyes", SESSION)).subscribed({ [LAST]: { qos: 1 } });
    await (await broker.connect("ipc-a")).client.publishAsync(LAST, "here", { qos: 2, retain: true });
    const { inbox } = await broker.connect("eyes", SESSION);
    // [MQTT-3.3.1-9]; QoS 2 was published, QoS 1 granted [MQTT-3.8.4-6].
    expect(await inbox.on(LAST)).toMatchObject({ text: "here", retain: false, qos: 1 });
  });

  // [MQTT-4.3.3-1], [MQTT-4.4.0-1]: exactly once needs the same id on both sides, whoever ends in between.
  it("goes on with a QoS 2 handshake where it was when the broker ended", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    await (await broker.connect("eyes", SESSION)).subscribed({ [TOPIC]: { qos: 2 } });
    await (await broker.connect("ipc-a")).client.publishAsync(TOPIC, "once", { qos: 2 });
    const isPublish = (packet: Packet): packet is IPublishPacket => packet.cmd === "publish";
    const isPubrel = (packet: Packet): packet is IPubrelPacket => packet.cmd === "pubrel";

    const first = await broker.raw("eyes", SESSION);
    const { messageId = 0 } = await first.next(isPublish);
    await broker.restart();
    const second = await broker.raw("eyes", SESSION);
    expect(await second.next(isPublish)).toMatchObject({ messageId, dup: true, qos: 2 });
    second.send({ cmd: "pubrec", messageId });
    await second.next(isPubrel);
    await broker.restart();
    const third = await broker.raw("eyes", SESSION);
    expect(await third.next(isPubrel)).toMatchObject({ messageId });
    third.send({ cmd: "pubcomp", messageId });
    await (await broker.connect("ipc-a")).client.publishAsync(TOPIC, "another", { qos: 2 });
    expect((await third.next(isPublish)).payload.toString()).toBe("another");
  });

  it("gets what comes while it is being sent its queue, in order and once", async (test) => {
    const broker = await startFor(test, make);
    if (broker === null) return;
    await (await broker.connect("eyes", SESSION)).subscribed({ [TOPIC]: { qos: 1 } });
    const machine = (await broker.connect("ipc-a")).client;
    const publish = (from: number, to: number) =>
      Promise.all(
        Array.from({ length: to - from }, (_, index) => machine.publishAsync(TOPIC, String(from + index), { qos: 1 })),
      );
    await publish(0, 500);
    const publishing = publish(500, 1000);
    const { inbox } = await broker.connect("eyes", SESSION);
    await publishing;
    await inbox.until((messages) => messages.length >= 1000);
    expect(textsOn(inbox, TOPIC)).toEqual(Array.from({ length: 1000 }, (_, index) => String(index)));
  });
});

describe("our hub, killed with 100 QoS 1 publishes in flight", () => {
  it.each([1, 2, 3])("owes an absent session everything that it acknowledged, in order and once (%i)", async () => {
    const broker = await restartable(await BROKERS[0]?.make());
    await (await broker.connect("eyes", SESSION)).subscribed({ [TOPIC]: { qos: 1 }, [LAST]: { qos: 1 } });
    const { client: machine } = await broker.connect("ipc-a");
    const acknowledged: number[] = [];
    let next = 0;
    await new Promise<void>((enough) => {
      const publishNext = () => {
        const index = next;
        next += 1;
        machine.publish(TOPIC, String(index), { qos: 1 }, (error) => {
          if (error) return;
          acknowledged.push(index);
          if (acknowledged.length === 1500) enough();
          else publishNext();
        });
      };
      for (let flying = 0; flying < 100; flying += 1) publishNext();
    });
    await broker.restart();
    await (await broker.connect("ipc-a")).client.publishAsync(LAST, "end", { qos: 1 });
    const { inbox } = await broker.connect("eyes", SESSION);
    await inbox.on(LAST);
    const got = textsOn(inbox, TOPIC).map(Number);
    expect(got).toEqual(Array.from(got, (_, index) => index));
    expect(got.length).toBeGreaterThanOrEqual(acknowledged.length);
    expect(acknowledged.filter((index) => index >= got.length)).toEqual([]);
  });
});

function textsOn({ messages }: Inbox, topic: string): string[] {
  return messages.filter((message) => message.topic === topic).map(({ text }) => text);
}

async function startFor(test: TestContext, make: () => Promise<Restartable | null>) {
  const broker = await make();
  if (broker !== null) return restartable(broker);
  console.warn(CONTROL_NOT_RUN);
  await test.annotate(CONTROL_NOT_RUN, "warning");
  return null;
}

async function restartable(broker: Restartable | null | undefined) {
  if (broker === null || broker === undefined) throw new Error("there is no broker");
  let url = await broker.start();
  const clients: MqttClient[] = [];
  onTestFinished(async () => {
    for (const client of clients) await client.endAsync(true);
  });
  return {
    async restart() {
      await broker.stop();
      url = await broker.start();
    },
    /** A connection that answers nothing by itself. */
    async raw(user: string, { clean, clientId }: IClientOptions) {
      const raw = await openRaw(url);
      onTestFinished(() => void raw.socket.destroy());
      raw.send(connectPacket(user, { clean, clientId }));
      await raw.next(isConnack);
      return raw;
    },
    /** Nothing that comes is missed, and nothing sent again by itself. */
    async connect(user: string, options: IClientOptions = {}) {
      const credentials = { username: user, password: `${user}-pass` };
      const client = mqtt.connect(url, { protocolVersion: 4, reconnectPeriod: 0, ...credentials, ...options });
      clients.push(client);
      const inbox = inboxOf(client);
      await new Promise<void>((resolve, reject) => {
        client.once("connect", () => resolve());
        client.once("error", reject);
      });
      client.on("error", () => undefined);
      return {
        client,
        inbox,
        async subscribed(filters: Record<string, { qos: 0 | 1 | 2 }>, leave = true) {
          await client.subscribeAsync(filters);
          if (leave) await client.endAsync();
        },
      };
    },
  };
}

async function restartableMosquitto(): Promise<Restartable | null> {
  const binary = findMosquitto();
  if (binary === null) return null;
  const folder = await temporaryFolder();
  const configuration = join(folder, "mosquitto.conf");
  const port = await freePort();
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "persistence true",
    `persistence_location ${folder}/`,
    "max_queued_messages 0",
    // Else it becomes another user, who cannot write here, when root runs the tests.
    `user ${userInfo().username}`,
  ];
  await writeFile(configuration, `${lines.join("\n")}\n`);
  let child: ChildProcess | null = null;
  const stop = async () => {
    if (child === null) return;
    const gone = new Promise((resolve) => child?.once("exit", resolve));
    child.kill("SIGTERM");
    await gone;
    child = null;
  };
  onTestFinished(stop);
  return {
    async start() {
      child = spawn(binary, ["-c", configuration], { stdio: ["ignore", "ignore", "pipe"] });
      await running(child);
      return `mqtt://127.0.0.1:${port}`;
    },
    stop,
  };
}
