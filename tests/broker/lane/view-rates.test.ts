import { describe, expect, it } from "vitest";
import { VIEW_RATES } from "../../../lib/contracts/view-rates.ts";
import { inboxOf } from "../../support/inbox.ts";
import { startPlainHub } from "../../support/plain-hub.ts";
import { connectPacket, isConnack } from "../../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine", eyes: "inspector", scada: "scada" } as const;
const TOPIC = "machines/ipc-01/status";
const COUNT = 500;

describe.each([
  { lane: "on", statusLane: true },
  { lane: "off", statusLane: false },
])("view rates, lane $lane", ({ statusLane }) => {
  it("give an onlooker the newest at his rate, and a full-rate reader every status", async () => {
    const { connect, raw } = await startPlainHub(USERS, { statusLane, viewRates: { ...VIEW_RATES, inspector: 20 } });
    const [eyes, scada] = [await connect("eyes"), await connect("scada")];
    const [seen, all] = [inboxOf(eyes), inboxOf(scada)];
    await eyes.subscribeAsync(["#", "$SYS/#"]);
    await scada.subscribeAsync("machines/+/status");
    const machine = await raw();
    machine.send(connectPacket("ipc-01"));
    await machine.next(isConnack);
    const startedAt = performance.now();
    for (let index = 1; index <= COUNT; index += 1) {
      machine.send({ cmd: "publish", topic: TOPIC, payload: String(index), qos: 0, retain: true, dup: false });
    }
    await all.until((messages) => messages.some(({ text }) => text === String(COUNT)));
    await seen.until((messages) => messages.some(({ text }) => text === String(COUNT)));
    const seconds = (performance.now() - startedAt) / 1000;

    expect(all.messages.map(({ text }) => Number(text))).toEqual(
      Array.from({ length: COUNT }, (_, index) => index + 1),
    );
    const viewed = seen.messages.filter(({ topic }) => topic === TOPIC).map(({ text }) => Number(text));
    expect(viewed.length).toBeLessThanOrEqual(seconds * 20 + 1);
    expect(viewed).toEqual(viewed.toSorted((a, b) => a - b));
  });

  it("are shown with the hub's own figures", async () => {
    const { connect } = await startPlainHub(USERS, { statusLane });
    const eyes = await connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync("$SYS/#");
    expect((await inbox.on("$SYS/broker/view-rate/inspector")).text).toBe("4");
    expect((await inbox.on("$SYS/broker/view-rate/scada")).text).toBe("full");
    expect((await inbox.on("$SYS/broker/status-lane/state")).text).toBe(statusLane ? "on" : "off");
  });
});
