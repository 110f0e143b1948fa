import { expect, it } from "vitest";
import type { Packet } from "mqtt-packet";
import { inboxOf } from "../../support/inbox.ts";
import { startPlainHub } from "../../support/plain-hub.ts";
import { connectPacket, isConnack } from "../../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine", scada: "scada" } as const;
const COUNT = 2000;
const PADDING = "x".repeat(500);

/** A summary at QoS 1 behind each status: while one is being handled, the socket's chunks pile up. */
function packets(index: number): Packet[] {
  const packet = { cmd: "publish", dup: false } as const;
  return [
    { ...packet, topic: "machines/ipc-01/status", payload: `${index}`, qos: 0, retain: true },
    {
      ...packet,
      topic: "machines/ipc-01/summary",
      payload: `${index} ${PADDING}`,
      qos: 1,
      retain: false,
      messageId: index,
    },
  ];
}

it("a machine that sends far more than is handled at once is read once and whole, in order", async () => {
  const { hub, connect, raw } = await startPlainHub(USERS);
  const scada = await connect("scada");
  const inbox = inboxOf(scada);
  await scada.subscribeAsync(["machines/+/status", "machines/+/summary"], { qos: 1 });
  const machine = await raw();
  machine.send(connectPacket("ipc-01"));
  await machine.next(isConnack);
  const all = Array.from({ length: COUNT }, (_, index) => packets(index + 1));
  machine.send(...all.flat());
  await inbox.until((messages) => messages.some(({ text }) => text.startsWith(`${COUNT} `)));

  const summaries = inbox.messages
    .filter(({ topic }) => topic.endsWith("summary"))
    .map(({ text }) => Number.parseInt(text, 10));
  expect(summaries).toEqual(all.map((_, index) => index + 1));
  const statuses = inbox.messages.filter(({ topic }) => topic.endsWith("status")).map(({ text }) => Number(text));
  expect(statuses.at(-1)).toBe(COUNT);
  expect(statuses).toEqual([...new Set(statuses)].toSorted((a, b) => a - b));
  expect(hub.counters.received).toBe(COUNT * 2);
});
