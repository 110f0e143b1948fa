import { describe, expect, test } from "vitest";
import { createPresence, type PresencePort } from "../../../lib/messaging/presence.ts";
import { createRepeats } from "../../../lib/messaging/repeats.ts";
import { Presence } from "../../../lib/contracts/machine.ts";
import { fakeTiming } from "../../edge-agent/support/fake-timing.ts";
import { recordingLog } from "../../edge-agent/support/recording-log.ts";

const TOPIC = "machines/ipc-07/presence";

/** A broker as far as presence sees one: keeps the last word, and says it to whoever follows. */
function fakeHub() {
  const said: Presence[] = [];
  const readers: ((topic: string, payload: Buffer) => void)[] = [];
  const publish = (payload: string) => {
    said.push(Presence.parse(JSON.parse(payload)));
    for (const read of readers) read(TOPIC, Buffer.from(payload));
  };
  const port = () => {
    const ups: (() => void)[] = [];
    const state = { connected: false, answers: true };
    const link: PresencePort = {
      get connected() {
        return state.connected;
      },
      publish: async (topic, payload, options) => {
        expect([topic, options]).toEqual([TOPIC, { qos: 1, retain: true }]);
        publish(payload);
        if (!state.answers) await new Promise(() => undefined);
      },
      subscribe: async (filter, handler) => {
        expect(filter).toBe(TOPIC);
        readers.push(handler);
      },
      onUp: (run) => {
        ups.push(run);
        if (state.connected) run();
      },
    };
    return {
      link,
      connect: () => ((state.connected = true), ups.forEach((up) => up())),
      cut: () => (state.connected = false),
      stopAnswering: () => (state.answers = false),
    };
  };
  return { said, publish, raw: (bytes: string) => readers.forEach((read) => read(TOPIC, Buffer.from(bytes))), port };
}

function agent(hub: ReturnType<typeof fakeHub>, timing: ReturnType<typeof fakeTiming>, boot = "boot-1") {
  const { log, lines } = recordingLog();
  const repeats = createRepeats({ after: timing.after, clock: timing.clock });
  const about = { machine: "ipc-07", boot, app: "edge-agent@0.1.0", key: "0123456789abcdef" };
  const presence = createPresence({ about, now: () => 1_795_000_000_000, repeats, after: timing.after, log });
  return { presence, lines, port: hub.port() };
}

async function started() {
  const hub = fakeHub();
  const timing = fakeTiming();
  const one = agent(hub, timing);
  const will = one.presence.will("connection-1");
  one.port.connect();
  await one.presence.follow(one.port.link);
  return { hub, timing, will, ...one };
}

describe("presence", () => {
  test("the will names the connection and says offline; the birth names the same one", async () => {
    const { hub, will } = await started();
    expect(will).toMatchObject({ topic: TOPIC, qos: 1, retain: true });
    expect(Presence.parse(JSON.parse(will.payload))).toMatchObject({
      online: false,
      why: "will",
      connection: "connection-1",
    });
    expect(hub.said).toEqual([
      {
        v: 1,
        online: true,
        since: "2026-11-18T11:06:40.000Z",
        why: "birth",
        connection: "connection-1",
        boot: "boot-1",
        app: "edge-agent@0.1.0",
        key: "0123456789abcdef",
      },
    ]);
  });

  test("each connection gets a birth of its own", async () => {
    const { hub, port, presence, timing } = await started();
    port.cut();
    presence.will("connection-2");
    port.connect();
    timing.advance(10_000);
    expect(hub.said.map(({ connection }) => connection)).toEqual(["connection-1", "connection-2"]);
  });

  test("the late will of an earlier connection is put right", async () => {
    const { hub, port, presence, timing, will } = await started();
    port.cut();
    presence.will("connection-2");
    port.connect();
    hub.publish(will.payload);
    timing.advance(1000);
    expect(hub.said.at(-1)).toMatchObject({ online: true, connection: "connection-2" });
    timing.advance(600_000);
    expect(hub.said).toHaveLength(4);
  });

  test("the fleet's word after a restart of the hub, a cleared topic and nonsense are put right as well", async () => {
    const { hub, timing } = await started();
    hub.publish(JSON.stringify({ ...hub.said[0], online: false, why: "hub-restart" }));
    timing.advance(1000);
    expect(hub.said).toHaveLength(3);
    hub.raw("");
    timing.advance(1000);
    hub.raw("{");
    timing.advance(1000);
    expect(hub.said.slice(3).map(({ online }) => online)).toEqual([true, true]);
  });

  test("its own word arriving after another one is enough", async () => {
    const { hub, timing, will } = await started();
    hub.publish(will.payload);
    hub.publish(JSON.stringify(hub.said[0]));
    timing.advance(600_000);
    expect(hub.said).toHaveLength(3);
  });

  test("two agents of one id do not answer each other for ever", async () => {
    const { hub, timing, lines } = await started();
    const other = agent(hub, timing, "boot-2");
    other.presence.will("connection-of-the-other");
    other.port.connect();
    await other.presence.follow(other.port.link);
    timing.advance(3_600_000);
    expect(hub.said.length).toBeGreaterThan(4);
    expect(hub.said.length).toBeLessThan(200);
    expect(lines().some(({ msg }) => String(msg).includes("another agent"))).toBe(true);
  });

  test("says farewell once and nothing after it", async () => {
    const { hub, port, presence, timing, will } = await started();
    hub.publish(will.payload);
    await presence.farewell();
    expect(hub.said.at(-1)).toMatchObject({ online: false, why: "shutdown" });
    const words = hub.said.length;
    hub.publish(will.payload);
    port.connect();
    timing.advance(600_000);
    expect(hub.said).toHaveLength(words + 1);
  });

  test("a broker that does not answer the farewell holds it up for a second, no longer", async () => {
    const { port, presence, timing } = await started();
    port.stopAnswering();
    const ended = presence.farewell();
    timing.advance(1000);
    await ended;
    expect(timing.pending()).toBe(0);
  });

  test("offline there is nobody to say farewell to", async () => {
    const { hub, port, presence } = await started();
    port.cut();
    await presence.farewell();
    expect(hub.said).toHaveLength(1);
  });
});
