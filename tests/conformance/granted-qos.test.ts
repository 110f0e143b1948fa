import { describe, expect, it } from "vitest";
import { connectByHand } from "../support/by-hand.ts";
import { inboxOf } from "../support/inbox.ts";
import { BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { scada: "scada", fleet: "service" };
const QOS = [0, 1, 2] as const;
const topicOf = (qos: number) => `machines/ipc-${qos}/presence`;
const LAST = "machines/ipc-last/presence";

/** Each matches the topics of all three QoS. */
const FILTERS: readonly (readonly [string, readonly string[]])[] = [
  ["the topics themselves", [...QOS.map(topicOf), LAST]],
  ["machines/+/presence", ["machines/+/presence"]],
  ["+/+/presence", ["+/+/presence"]],
  ["machines/#", ["machines/#"]],
  ["#", ["#"]],
];
const CASES = FILTERS.flatMap(([name, filters]) => QOS.map((granted) => ({ name, filters, granted })));

// MQTT 3.1.1 §3.8.4: "the QoS of Payload Messages sent in response to a Subscription MUST be the minimum of the QoS of
// the originally published message and the maximum QoS granted by the Server" [MQTT-3.8.4-6].
describe.each(BROKERS)("the QoS of what is delivered, on $name", ({ start }) => {
  it.for(CASES)(
    "is at most the $granted of a subscription to $name, live and retained",
    async ({ filters, granted }, test) => {
      const broker = await startFor(test, start, users);
      if (broker === null) return;
      const reader = async (clientId: string) => {
        const client = await broker.connect("scada", { clientId });
        const inbox = inboxOf(client);
        await client.subscribeAsync([...filters], { qos: granted });
        return inbox;
      };
      const live = await reader("before");
      const fleet = await broker.connect("fleet");
      for (const qos of QOS) await fleet.publishAsync(topicOf(qos), "state", { qos, retain: true });
      await fleet.publishAsync(LAST, "last", { qos: 2, retain: true });
      await live.on(LAST);
      const retained = await reader("after");
      const topics = [...QOS.map(topicOf), LAST];
      await retained.until((messages) => topics.every((topic) => messages.some((message) => message.topic === topic)));

      for (const { messages } of [live, retained]) {
        const arrived = QOS.map((qos) => messages.filter(({ topic }) => topic === topicOf(qos)).map(({ qos }) => qos));
        expect(arrived).toEqual(QOS.map((qos) => [Math.min(qos, granted)]));
      }
    },
  );

  it("is that of the subscription for a session that was away as well", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const session = { clientId: "away", clean: false };
    const before = await connectByHand(broker.url, "scada", session);
    await before.subscribe({ "machines/#": 1 });
    await before.disconnect();
    const fleet = await broker.connect("fleet");
    await fleet.publishAsync(topicOf(1), "one", { qos: 1 });
    await fleet.publishAsync(topicOf(2), "two", { qos: 2 });
    const after = await connectByHand(broker.url, "scada", session);
    test.onTestFinished(() => void after.raw.socket.destroy());
    await after.until((messages) => messages.length === 2);
    expect(after.messages).toMatchObject([
      { text: "one", qos: 1 },
      { text: "two", qos: 1 },
    ]);
  });
});
