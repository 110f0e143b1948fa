import { describe, expect, it } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { scada: "scada", other: "scada", "ipc-a": "machine" };
const UPTIME = "$SYS/broker/uptime";
const SPARKPLUG = "$sparkplug/certificates/namespace";
const LAST = "machines/ipc-a/presence";

// MQTT 3.1.1 §4.7.2: "The Server MUST NOT match Topic Filters starting with a wildcard character (# or +) with Topic
// Names beginning with a $ character" [MQTT-4.7.2-1].
describe.each(BROKERS)("topics that begin with $, on $name", ({ start }) => {
  it("are matched by no filter that begins with a wildcard, live or retained", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const wide = ["#", "+/broker/#", "+/broker/uptime", "+/+/uptime", "+/#", "+/certificates/namespace", "+/+/+"];
    const readerOf = async (user: string, clientId: string, filters: string[]) => {
      const client = await broker.connect(user, { clientId });
      const inbox = inboxOf(client);
      await client.subscribeAsync(filters, { qos: 1 });
      return inbox;
    };
    const witness = await readerOf("other", "witness", ["$SYS/#"]);
    const live = await readerOf("scada", "live", wide);
    const machine = await broker.connect("ipc-a");
    await machine.publishAsync(SPARKPLUG, "n", { qos: 1, retain: true });
    // The figures are renewed each second.
    await witness.until((messages) => messages.some(({ topic, retain }) => topic === UPTIME && !retain));
    const late = await readerOf("scada", "late", wide);
    await machine.publishAsync(LAST, "last", { qos: 1, retain: true });
    await Promise.all([live.on(LAST), late.on(LAST)]);
    const topics = [...live.messages, ...late.messages].map(({ topic }) => topic);
    expect(topics.filter((topic) => topic !== LAST)).toEqual([]);
  });
});
