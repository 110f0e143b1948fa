import type { IConnectPacket, Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { connectByHand } from "../support/by-hand.ts";
import { connectPacket, openRaw } from "../support/raw-mqtt.ts";
import { BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { fleet: "service", "ipc-a": "machine" };
const SUMMARY = "machines/ipc-a/summary";
const STATUS = "machines/ipc-a/status";
/** It is stored between the subscriptions and CONNACK: with a slow store, messages come meanwhile. */
const WILL = { topic: "machines/ipc-b/presence", payload: Buffer.from("gone"), qos: 1, retain: false } as const;
const SESSION: Partial<IConnectPacket> = { clientId: "resumed", clean: false, will: WILL };
const TIMES = 20;
const WAITING = 20;

const isAny = (_packet: Packet): _packet is Packet => true;

// MQTT 3.1.1 §3.2: "The first packet sent from the Server to the Client MUST be a CONNACK Packet" [MQTT-3.2.0-1].
describe.each(BROKERS)("a session that is resumed, on $name", ({ start }) => {
  it("gets CONNACK before anything else, while messages wait for it and more arrive", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const before = await connectByHand(broker.url, "fleet", SESSION);
    await before.subscribe({ "machines/+/summary": 1, "machines/+/status": 0 });
    await before.disconnect();
    const machine = await broker.connect("ipc-a");
    const waiting = Array.from({ length: WAITING }, (_, index) =>
      machine.publishAsync(SUMMARY, `${index}`, { qos: 1 }),
    );
    await Promise.all(waiting);
    const speak = setInterval(() => {
      machine.publish(STATUS, "1", { retain: true });
      machine.publish(SUMMARY, "more", { qos: 1 });
    }, 1);
    test.onTestFinished(() => clearInterval(speak));

    for (let time = 0; time < TIMES; time += 1) {
      const raw = await openRaw(broker.url);
      test.onTestFinished(() => void raw.socket.destroy());
      raw.send(connectPacket("fleet", SESSION));
      expect(await raw.next(isAny)).toMatchObject({ cmd: "connack", returnCode: 0, sessionPresent: true });
      expect(await raw.next(isAny)).toMatchObject({ cmd: "publish" });
      // Nothing is acknowledged, so that as much waits for the next.
      raw.socket.destroy();
      await raw.closed;
    }
  });
});
