import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Packet } from "mqtt-packet";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine", eyes: "scada" } as const;
const TOPIC = "machines/ipc-01/status";

const publishPacket = (index: number, { qos, retain }: { qos: 0 | 1; retain: boolean }): Packet => ({
  cmd: "publish",
  topic: TOPIC,
  payload: String(index),
  qos,
  retain,
  dup: false,
  ...(qos === 1 ? { messageId: index + 1 } : {}),
});

it.each([
  { lane: "on", statusLane: true },
  { lane: "off", statusLane: false },
])(
  "what one connection publishes arrives in its order, whatever QoS and retain flag it has; lane $lane",
  async ({ statusLane }) => {
    const { connect, raw } = await startPlainHub(USERS, { statusLane });
    const eyes = await connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync("machines/#", { qos: 1 });
    const machine = await raw();
    machine.send(connectPacket("ipc-01"));
    await machine.next(isConnack);

    const kinds = fc.array(fc.record({ qos: fc.constantFrom(0 as const, 1 as const), retain: fc.boolean() }), {
      minLength: 2,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(kinds, async (publishes) => {
        inbox.messages.length = 0;
        machine.send(...publishes.map((kind, index) => publishPacket(index, kind)));
        await inbox.until((messages) => messages.length === publishes.length);
        expect(inbox.messages.map(({ text }) => Number(text))).toEqual(publishes.map((_, index) => index));
      }),
      { numRuns: 60 },
    );
  },
);

it("a refused publish keeps its place and holds nobody up", async () => {
  const { connect, raw } = await startPlainHub(USERS);
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  const machine = await raw();
  machine.send(connectPacket("ipc-01"));
  await machine.next(isConnack);
  const forged = { ...publishPacket(7, { qos: 1, retain: true }), topic: "machines/ipc-02/status" } as Packet;
  machine.send(
    publishPacket(0, { qos: 1, retain: false }),
    forged,
    publishPacket(1, { qos: 0, retain: true }),
    publishPacket(2, { qos: 1, retain: true }),
  );
  await inbox.until((messages) => messages.length === 3);
  expect(inbox.messages.map(({ text }) => text)).toEqual(["0", "1", "2"]);
});

it("a will comes through although publishes before it never did", async () => {
  const { connect, raw } = await startPlainHub(USERS);
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  const machine = await raw();
  const will = { topic: "machines/ipc-01/presence", payload: Buffer.from("gone"), qos: 1, retain: true };
  machine.send(connectPacket("ipc-01", { will }));
  await machine.next(isConnack);
  machine.send(publishPacket(0, { qos: 1, retain: false }), publishPacket(1, { qos: 0, retain: false }));
  machine.socket.destroy();
  expect(await inbox.on("machines/ipc-01/presence")).toMatchObject({ text: "gone" });
});
