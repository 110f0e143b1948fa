import { describe, expect, it } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { eyes: "inspector", "ipc-a": "machine" };
const TOPIC = "machines/ipc-a/presence";
const LAST = "machines/ipc-a/summary";

describe.each(BROKERS)("subscriptions that overlap, on $name", ({ start }) => {
  it.for([0, 1] as const)("deliver a message of QoS %i once", async (qos, test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const eyes = await broker.connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync({ "#": { qos }, "machines/+/presence": { qos }, [TOPIC]: { qos } });
    const machine = await broker.connect("ipc-a");
    await machine.publishAsync(TOPIC, "here", { qos });
    await machine.publishAsync(LAST, "last", { qos });
    await inbox.on(LAST);
    expect(inbox.messages.filter(({ topic }) => topic === TOPIC)).toMatchObject([{ text: "here", qos }]);
  });

  // MQTT 3.1.1 [MQTT-3.3.5-1]: "respecting the maximum QoS of all the matching subscriptions".
  it("deliver with the highest QoS of them", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const eyes = await broker.connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync({ "#": { qos: 0 } });
    await eyes.subscribeAsync({ "machines/+/presence": { qos: 1 } });
    await eyes.subscribeAsync({ "machines/#": { qos: 0 } });
    const machine = await broker.connect("ipc-a");
    await machine.publishAsync(TOPIC, "here", { qos: 1 });
    expect(await inbox.on(TOPIC)).toMatchObject({ text: "here", qos: 1 });
  });
});
