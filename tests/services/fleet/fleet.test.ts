import mqtt from "mqtt";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import type { Presence } from "../../../lib/contracts/machine.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { GRACE } from "../../../services/fleet/absent-after-restart.ts";
import { type Fleet, startFleet } from "../../../services/fleet/start-fleet.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { joinAsPerson, joinAsService } from "../join-hub.ts";
import { presence, summary } from "./samples.ts";
import { stagedIn } from "../../support/staged.ts";

const WAIT = { timeout: 10_000 };

/* The fleet on a real hub. The five seconds of grace are ended by the test, not by the clock. */

describe("the fleet on a hub", () => {
  let hub: TestHub;
  let service: Keyed;
  let machine: Keyed;
  let press: Link;
  let store: Store;
  let parts: Awaited<ReturnType<typeof joinAsService>>;
  let fleet: Fleet;
  let graces: (() => void)[];
  let looks: (() => void)[];

  beforeEach(async () => {
    hub = await startTestHub();
    service = await hub.addService("fleet");
    machine = await hub.addMachine("press-01");
    await hub.addMachine("press-02");
    await hub.addPerson("ada", "analyst");
    press = await hub.link(machine.name, machine.password);
    store = await Store.inMemory();
    await begin();
  });
  afterEach(async () => {
    await end();
    await store.close();
    await hub.close();
  });

  async function begin() {
    graces = [];
    looks = [];
    parts = await joinAsService(hub, service, store);
    fleet = await startFleet({
      ...parts,
      signCommand: parts.self.sign,
      after: (ms, task) => ((ms === GRACE ? graces : looks).push(task), () => undefined),
    });
  }
  async function end() {
    await fleet.close();
    await parts.link.close();
  }

  const say = (what: Presence) =>
    press.publish("machines/press-01/presence", JSON.stringify(what), { qos: 1, retain: true });
  const sum = () => press.publish("machines/press-01/summary", JSON.stringify(summary()));
  const told = async () =>
    (await stagedIn(store, "audit")).map(({ type, payload }) => {
      const { why, code } = payload as { why?: string; code?: string };
      return `${type} ${why ?? code}`;
    });
  const untilOnline = (online: boolean) =>
    vi.waitFor(() => expect(fleet.register.presence("press-01")?.online).toBe(online), WAIT);

  it("shows who is there, how fast it reports and since when", async () => {
    await say(presence());
    await sum();
    const ada = await joinAsPerson(hub, "ada");
    await vi.waitFor(async () => {
      expect(await ada.call("fleet", "machine-list", {})).toMatchObject([
        { id: "press-01", online: true, rateHz: 999.812, waiting: 5 },
        { id: "press-02", online: false, rateHz: null },
      ]);
    });
    await say(presence({ online: false, why: "shutdown" }));
    await untilOnline(false);
    expect(await ada.call("fleet", "machine-show", { id: "press-01" })).toMatchObject({
      online: false,
      why: "shutdown",
    });
    expect(await told()).toEqual(["machine.online birth", "machine.offline shutdown"]);
  });

  it("presumes a machine offline that gives no sign after the fleet came back, and says so, retained", async () => {
    await say(presence());
    await untilOnline(true);
    await end();
    await press.close();
    await begin();
    // The hub looks at its connections four times a second; the grace is twenty times as long.
    const ada = await joinAsPerson(hub, "ada");
    const addresses = async () => (await ada.call("fleet", "machine-show", { id: "press-01" })).addresses;
    await vi.waitFor(async () => expect(await addresses()).toEqual([]), WAIT);
    graces.forEach((grace) => grace());
    await untilOnline(false);
    press = await hub.link("press-01", machine.password);
    expect(fleet.register.presence("press-01")).toMatchObject({ why: "hub-restart", connection: "c-1" });
    expect(await told()).toEqual(["machine.online birth", "machine.offline hub-restart"]);

    const heard: Presence[] = [];
    await ada.link.subscribe("machines/+/presence", (_topic, payload, retained) => {
      if (retained) heard.push(JSON.parse(payload.toString()) as Presence);
    });
    await vi.waitFor(() => expect(heard).toMatchObject([{ online: false, why: "hub-restart" }]));

    await say(presence({ connection: "c-2" }));
    await untilOnline(true);
    expect(await told()).toHaveLength(3);
  });

  it("leaves a machine alone that was heard, though it gave no birth", async () => {
    await say(presence());
    await untilOnline(true);
    await end();
    await begin();
    await sum();
    const ada = await joinAsPerson(hub, "ada");
    await vi.waitFor(async () =>
      expect((await ada.call("fleet", "machine-show", { id: "press-01" })).rateHz).not.toBeNull(),
    );
    graces.forEach((grace) => grace());
    // An answer to a request that came after shows that nothing was published in between.
    await ada.call("fleet", "machine-list", {});
    expect(fleet.register.presence("press-01")?.online).toBe(true);
    expect(await told()).toEqual(["machine.online birth"]);
  });

  it("says of a revoked machine that it is, whatever its will says", async () => {
    const { secret } = await hub.addDevice("press-03");
    const will = JSON.stringify(presence({ online: false, why: "will" }));
    const machine = await mqtt.connectAsync(hub.url, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      username: "press-03",
      password: secret,
      will: { topic: "machines/press-03/presence", payload: Buffer.from(will), qos: 1, retain: true },
    });
    await machine.publishAsync("machines/press-03/presence", JSON.stringify(presence()), { qos: 1, retain: true });
    await vi.waitFor(() => expect(fleet.register.presence("press-03")?.online).toBe(true));
    const heard: Presence[] = [];
    const ada = await joinAsPerson(hub, "ada");
    await ada.link.subscribe("machines/+/presence", (_topic, payload) => {
      heard.push(JSON.parse(payload.toString()) as Presence);
    });
    await hub.directory.devices.revoke(BY_DIRECTORY, "press-03");
    await vi.waitFor(() => expect(heard.map(({ why }) => why)).toContain("will"));
    await vi.waitFor(() => expect(heard.at(-1)).toMatchObject({ online: false, why: "revoked", connection: "c-1" }));
    expect(fleet.register.presence("press-03")).toMatchObject({ online: false, why: "revoked" });
    expect((await told())[0]).toBe("machine.online birth");
    expect((await told())[1]).toMatch(/^machine.offline (?:will|revoked)$/);
    expect(await told()).toHaveLength(2);
  });

  it("does not call a machine online that went without a will, and needs nobody to say so", async () => {
    await say(presence());
    await untilOnline(true);
    const ada = await joinAsPerson(hub, "ada");
    const row = () => ada.call("fleet", "machine-show", { id: "press-01" });
    await vi.waitFor(async () => expect(await row()).toMatchObject({ online: true, addresses: ["127.0.0.1"] }), WAIT);
    await press.close();
    await vi.waitFor(async () => expect((await row()).addresses).toEqual([]), WAIT);
    await vi.waitFor(() => {
      looks.splice(0).forEach((look) => look());
      expect(fleet.register.presence("press-01")).toMatchObject({ online: false, why: "no-connection" });
    }, WAIT);
    expect(await told()).toEqual(["machine.online birth", "machine.offline no-connection"]);
    press = await hub.link("press-01", machine.password);
    await say(presence({ connection: "c-2" }));
    await untilOnline(true);
  });

  it("says that an agent is silent from which nothing comes, and takes it back when something does", async () => {
    await say(presence());
    await untilOnline(true);
    const heard: Presence[] = [];
    const ada = await joinAsPerson(hub, "ada");
    await ada.link.subscribe("machines/+/presence", (_topic, payload) => {
      heard.push(JSON.parse(payload.toString()) as Presence);
    });
    for (let second = 0; second < 3; second += 1) await sum();
    await vi.waitFor(
      () => expect(heard.at(-1)).toMatchObject({ online: false, why: "silent", connection: "c-1" }),
      WAIT,
    );
    await press.publish("machines/press-01/status", "{}");
    await vi.waitFor(() => expect(heard.at(-1)).toMatchObject({ online: true, why: "heard", connection: "c-1" }), WAIT);
    await untilOnline(true);
    expect(await told()).toEqual(["machine.online birth", "machine.offline silent", "machine.online heard"]);
  });

  it("tells of two agents with one id, once, and sends neither of them commands", async () => {
    await say(presence());
    await say(presence({ boot: "b-2", connection: "c-2" }));
    await say(presence());
    await say(presence({ boot: "b-2", connection: "c-2" }));
    const ada = await joinAsPerson(hub, "ada");
    await vi.waitFor(
      async () =>
        expect(await ada.call("fleet", "machine-show", { id: "press-01" })).toMatchObject({
          online: true,
          duplicate: { boots: ["b-2", "b-1"] },
          addresses: ["127.0.0.1"],
        }),
      WAIT,
    );
    const [alarm] = fleet.alarms;
    expect(await alarm?.look()).toMatch(/press-01 \(127\.0\.0\.1\)/);
    await vi.waitFor(
      async () =>
        expect((await stagedIn(store, "audit")).map(({ type }) => type)).toEqual([
          "machine.online",
          "machine.online",
          "machine.duplicated",
        ]),
      WAIT,
    );

    const orders: string[] = [];
    await press.subscribe("machines/press-01/commands/+", (topic) => void orders.push(topic));
    await hub.addPerson("sue", "administrator");
    const sue = await joinAsPerson(hub, "sue");
    const id = v7();
    await sue.call("fleet", "command-send", { id, machine: "press-01", name: "ping" });
    // Whatever had been sent would be here before an answer to what was asked after it.
    await say(presence({ online: false, why: "shutdown" }));
    await untilOnline(false);
    expect(orders).toEqual([]);
    expect(await sue.call("fleet", "command-show", { id })).toMatchObject({ state: "queued" });
  });

  it("forgets a presence that was cleared", async () => {
    await say(presence());
    await untilOnline(true);
    await press.publish("machines/press-01/presence", "", { qos: 1, retain: true });
    await vi.waitFor(() => expect(fleet.register.presence("press-01")).toBeUndefined());
    expect(await told()).toEqual(["machine.online birth", "machine.offline cleared"]);
  });

  it("does not fall over bytes that are no presence, and puts it on record", async () => {
    await press.publish("machines/press-01/presence", "{", { qos: 1 });
    await press.publish("machines/press-01/summary", '{"v":2}', { qos: 1 });
    await vi.waitFor(async () => expect(await told()).toEqual(["message.refused malformed", "message.refused schema"]));
    await say(presence());
    await untilOnline(true);
  });
});
