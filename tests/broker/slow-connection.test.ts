import type { Packet } from "mqtt-packet";
import { expect, it } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine", eyes: "inspector", slow: "inspector" } as const;
const TOPIC = "machines/ipc-01/summary";
const PADDING = "x".repeat(60_000);

it("a session that lets too much QoS 1 wait is ended, hears of all of it when it is back, and holds nobody up", async () => {
  const { hub, access, connect, raw, resume } = await startPlainHub(USERS, {
    outletLimits: { queuedBytes: 1_000_000 },
  });
  const slow = await raw();
  slow.send(connectPacket("slow", { clean: false, clientId: "keeps" }));
  await slow.next(isConnack);
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "machines/#", qos: 1 }] });
  await slow.next((packet): packet is Packet => packet.cmd === "suback");
  slow.socket.pause();

  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  const machine = await connect("ipc-01");
  let sent = 0;
  while (hub.counters.tooSlow === 0) {
    await machine.publishAsync(TOPIC, `${sent} ${PADDING}`, { qos: 1 });
    sent += 1;
    await inbox.until((messages) => messages.length === sent);
  }
  expect(access.at(-1)).toMatchObject({ kind: "too-slow", user: "slow", code: "too_slow" });

  const back = await resume("slow", { clean: false, clientId: "keeps" });
  await back.until((messages) => messages.length >= sent);
  expect(back.messages.map(({ text }) => Number(text.split(" ")[0]))).toEqual(
    Array.from({ length: sent }, (_, i) => i),
  );
});
