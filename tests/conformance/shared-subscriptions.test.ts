import { describe, expect, it, onTestFinished } from "vitest";
import { watchAccess } from "../../broker/access-log.ts";
import { createRefusals } from "../../lib/runtime/refusals.ts";
import { connectByHand } from "../support/by-hand.ts";
import { recordLog } from "../support/log-lines.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { BROKERS, startBareAedes, startFor, type Users } from "./brokers.ts";

/*
 * `$share/<group>/<filter>` comes from MQTT 5. A broker that knows it for MQTT 3.1.1 too delivers; one that does not must
 * say so: whoever is granted it and gets nothing waits for ever.
 */

const users: Users = { scada: "scada", "ipc-a": "machine" };
const SUMMARY = "machines/ipc-a/summary";
const SHARED = [`$share/group/${SUMMARY}`, "$share/group/#"];
const LAST = "machines/ipc-a/presence";

/** @returns what was granted for each, and whether a message arrived because of it. */
async function share(url: string, publish: (topic: string) => Promise<unknown>) {
  const outcomes: { granted: number; arrived: boolean }[] = [];
  for (const filter of SHARED) {
    const reader = await connectByHand(url, "scada", { clientId: `reader-${outcomes.length}` });
    const [granted] = await reader.subscribe({ [filter]: 1 });
    await reader.subscribe({ [LAST]: 1 });
    await publish(SUMMARY);
    await publish(LAST);
    await reader.until((messages) => messages.some(({ topic }) => topic === LAST));
    outcomes.push({ granted: granted ?? -1, arrived: reader.messages.some(({ topic }) => topic === SUMMARY) });
    await reader.disconnect();
  }
  return outcomes;
}

describe.each(BROKERS)("a shared subscription on $name", ({ name, start }) => {
  it("is refused with 128, or delivers", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const machine = await broker.connect("ipc-a");
    const outcomes = await share(broker.url, (topic) => machine.publishAsync(topic, "x", { qos: 1 }));
    const right = name.includes("control") ? { granted: 1, arrived: true } : { granted: 128, arrived: false };
    expect(outcomes).toEqual([right, right]);
  });
});

describe("a shared subscription", () => {
  it("is granted and never delivers on bare Aedes: the reason for the refusal", async () => {
    const broker = await startBareAedes();
    onTestFinished(() => broker.close());
    const machine = await broker.connect("ipc-a");
    const outcomes = await share(broker.url, (topic) => machine.publishAsync(topic, "x", { qos: 1 }));
    expect(outcomes).toContainEqual({ granted: 1, arrived: false });
  });

  it("that our hub refuses is one access event, and one line in the log", async () => {
    const { log, lines } = recordLog();
    const refusals = createRefusals({ emit: (report) => log.warn(report, "refused"), now: Date.now });
    onTestFinished(() => refusals.close());
    const { ofConnection } = watchAccess({ refusals, log });
    const events: string[] = [];
    const { hub } = await startPlainHub(users, {
      onAccess(event) {
        if (event.kind !== "admitted") events.push(`${event.kind} ${event.code} ${event.user} ${event.subject}`);
        ofConnection(event);
      },
    });
    const filter = SHARED[0] ?? "";
    const reader = await connectByHand(hub.url, "scada");
    onTestFinished(() => void reader.raw.socket.destroy());
    expect(await reader.subscribe({ [filter]: 1 })).toEqual([128]);
    expect(events).toEqual([`subscribe-refused not_allowed scada ${filter}`]);
    expect(lines.filter(({ msg }) => msg === "refused")).toMatchObject([
      { principal: "scada", code: "not_allowed", detail: `subscribe-refused: ${filter}` },
    ]);
    expect(hub.counters.refused.subscribe).toBe(1);
  });
});
