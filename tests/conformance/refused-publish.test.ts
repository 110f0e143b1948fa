import { describe, expect, it, onTestFinished } from "vitest";
import { connectByHand } from "../support/by-hand.ts";
import { BROKERS, startBareAedes, startFor, type Users } from "./brokers.ts";

/*
 * MQTT 3.1.1 has no answer for a publish without permission: §3.3.5 lets a server close the connection or acknowledge and
 * drop it. Closing would make a machine lose everything else for one wrong topic, and try again for ever. On `$SYS/` no
 * broker lets a client write.
 */

const users: Users = { scada: "scada", "ipc-a": "machine" };
const FORGED = "$SYS/broker/version";
const OWN = "machines/ipc-a/summary";

describe.each(BROKERS)("a publish that is refused, on $name", ({ start }) => {
  it.for([0, 1, 2] as const)("of QoS %i is acknowledged and dropped, and the connection lives", async (qos, test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const reader = await connectByHand(broker.url, "scada", { clientId: "reader" });
    const machine = await connectByHand(broker.url, "ipc-a", { clientId: "machine" });
    for (const { raw } of [reader, machine]) test.onTestFinished(() => void raw.socket.destroy());
    await reader.subscribe({ "#": 2, "$SYS/#": 2 });
    await machine.publish(FORGED, "forged", { qos, retain: true });
    await machine.publish(OWN, "own", { qos });
    await reader.until((messages) => messages.some(({ topic }) => topic === OWN));
    expect(reader.messages.filter(({ text }) => text === "forged")).toEqual([]);
  });
});

it("a publish that bare Aedes refuses ends the connection: the reason for the hub's own way", async () => {
  const broker = await startBareAedes();
  onTestFinished(() => broker.close());
  const machine = await connectByHand(broker.url, "ipc-a");
  machine.raw.send({
    cmd: "publish",
    topic: FORGED,
    payload: "forged",
    qos: 1,
    messageId: 1,
    retain: true,
    dup: false,
  });
  await machine.raw.closed;
  expect(machine.raw.socket.destroyed).toBe(true);
});
