import type { MqttClient } from "mqtt";
import type { Packet } from "mqtt-packet";
import { expect, it } from "vitest";
import { type Inbox, inboxOf } from "../support/inbox.ts";
import { type PlainHub, startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack, type RawMqtt } from "../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine", eyes: "inspector", slow: "inspector" } as const;
const TOPIC = "machines/ipc-01/summary";
const PADDING = "x".repeat(60_000);

it("a reader that lets too much QoS 1 wait is ended, and holds nobody up", async () => {
  const { hub, access, raw, ...rest } = await startPlainHub(USERS, { outletLimits: { queuedBytes: 1_000_000 } });
  await stall(await raw(), { clean: true });
  const { publish } = await publisherAndWitness(rest);
  while (hub.counters.tooSlow === 0) await publish();
  expect(access.at(-1)).toMatchObject({ kind: "too-slow", user: "slow", code: "too_slow" });
});

it("what a persistent session does not read waits in its queue, and it hears of all of it when it is back", async () => {
  const { hub, raw, resume, ...rest } = await startPlainHub(USERS, { outletLimits: { queuedBytes: 2_000_000 } });
  const slow = await raw();
  await stall(slow, { clean: false, clientId: "keeps" });
  const { publish } = await publisherAndWitness(rest);
  const sent = 80;
  for (let index = 0; index < sent; index += 1) await publish();
  expect(hub.counters.tooSlow).toBe(0);
  expect(hub.connected()).toBe(3);
  slow.socket.destroy();

  const back = await resume("slow", { clean: false, clientId: "keeps" });
  await back.until((messages) => messages.length >= sent);
  expect(numbersOf(back)).toEqual(Array.from({ length: sent }, (_, i) => i));
});

async function stall(slow: RawMqtt, session: { clean: boolean; clientId?: string }): Promise<void> {
  slow.send(connectPacket("slow", session));
  await slow.next(isConnack);
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "machines/#", qos: 1 }] });
  await slow.next((packet): packet is Packet => packet.cmd === "suback");
  slow.socket.pause();
}

/** `publish` resolves when a reader beside the slow one has the message. */
async function publisherAndWitness({ connect }: Pick<PlainHub, "connect">) {
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  const machine: MqttClient = await connect("ipc-01");
  let sent = 0;
  return {
    async publish() {
      await machine.publishAsync(TOPIC, `${sent} ${PADDING}`, { qos: 1 });
      sent += 1;
      await inbox.until((messages) => messages.length === sent);
    },
  };
}

function numbersOf({ messages }: Inbox): number[] {
  return messages.map(({ text }) => Number(text.split(" ")[0]));
}
