import type { PublishPacket } from "aedes";
import { describe, expect, it } from "vitest";
import { accessOf } from "../../broker/access.ts";
import { newCounters } from "../../broker/access-events.ts";
import { authorizeHooks, SINK } from "../../broker/authorize.ts";
import { createPublishOrder } from "../../broker/publish-order.ts";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { principal } from "../support/principals.ts";

const USERS = {
  maria: "operator",
  "ipc-01": "machine",
  "ipc-02": "machine",
  eyes: "inspector",
  panel: "scada",
  production: "service",
  directory: "service",
  audit: "service",
} as const;

describe("a publish without permission", () => {
  it("reaches nobody, is not retained, is told, and leaves the connection open", async () => {
    const { connect, access, hub } = await startPlainHub(USERS);
    const machine = await connect("ipc-01");
    const eyes = await connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync(["#", "$SYS/#"]);
    await machine.publishAsync("machines/ipc-02/status", "forged", { qos: 1, retain: true });
    await machine.publishAsync("$SYS/broker/version", "forged", { qos: 1, retain: true });
    await machine.publishAsync("machines/ipc-01/status", "true", { qos: 1, retain: true });
    await inbox.on("machines/ipc-01/status");

    const panel = await connect("panel");
    const lateInbox = inboxOf(panel);
    await panel.subscribeAsync(["#", "$SYS/#"]);
    await lateInbox.on("machines/ipc-01/status");

    const seen = [...inbox.messages, ...lateInbox.messages];
    expect(seen.filter(({ text }) => text === "forged")).toEqual([]);
    expect(seen.filter(({ topic }) => topic === SINK || topic === "machines/ipc-02/status")).toEqual([]);
    const refused = access.filter(({ kind }) => kind === "publish-refused");
    expect(refused).toEqual([
      {
        kind: "publish-refused",
        user: "ipc-01",
        address: "127.0.0.1",
        code: "not_allowed",
        subject: "machines/ipc-02/status",
      },
      {
        kind: "publish-refused",
        user: "ipc-01",
        address: "127.0.0.1",
        code: "not_allowed",
        subject: "$SYS/broker/version",
      },
    ]);
    expect(hub.counters.refused.publish).toBe(2);
    expect(machine.connected).toBe(true);
  });

  it("is answered on the response topic when it was a request of that very user", async () => {
    const { connect } = await startPlainHub(USERS);
    const eyes = await connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync("#");
    await eyes.publishAsync("requests/eyes/s-1/production/entry-add/r-1", "{}", { qos: 1 });
    const answer = JSON.parse((await inbox.on("responses/eyes/s-1/r-1")).text);
    expect(answer).toMatchObject({ v: 1, status: "error", error: { code: "not_allowed" } });
  });

  it("is not answered when it was a request in another's name", async () => {
    const { connect, hub } = await startPlainHub(USERS);
    const maria = await connect("maria");
    const eyes = await connect("eyes");
    const inbox = inboxOf(maria);
    await maria.subscribeAsync("responses/maria/#");
    await eyes.publishAsync("requests/maria/s-1/production/entry-add/r-1", "{}", { qos: 1 });
    const production = await connect("production");
    await production.publishAsync("responses/maria/s-1/r-2", "last", { qos: 1 });
    await inbox.on("responses/maria/s-1/r-2");
    expect(inbox.messages).toHaveLength(1);
    expect(hub.counters.refused.publish).toBe(1);
  });
});

describe("a subscription without permission", () => {
  it.each([
    ["maria", "machines/#"],
    ["maria", "responses/joao/#"],
    ["maria", "$share/group/machines/+/status"],
    ["eyes", "$share/group/#"],
    ["ipc-01", "machines/ipc-02/commands/+"],
    ["production", "#"],
    ["maria", SINK],
  ])("of %s to %s is answered with 128", async (user, filter) => {
    const { connect, access } = await startPlainHub(USERS);
    const client = await connect(user);
    await expect(client.subscribeAsync(filter)).rejects.toThrow("Subscribe error");
    expect(access.at(-1)).toMatchObject({ kind: "subscribe-refused", user, subject: filter });
    expect(client.connected).toBe(true);
  });

  it("does not touch the others of the same packet", async () => {
    const { connect } = await startPlainHub(USERS);
    const maria = await connect("maria");
    const inbox = inboxOf(maria);
    await expect(maria.subscribeAsync(["machines/#", "machines/+/status"])).rejects.toThrow("Subscribe error");
    const machine = await connect("ipc-01");
    machine.publish("machines/ipc-01/status", "1");
    expect(await inbox.on("machines/ipc-01/status")).toMatchObject({ text: "1" });
    expect(inbox.messages.map(({ topic }) => topic)).toEqual(["machines/ipc-01/status"]);
  });
});

describe.each(["eyes", "panel"] as const)("what %s must not see", (onlooker) => {
  const hidden = [
    ["maria", "requests/maria/s-1/production/entry-add/r-1"],
    ["production", "responses/maria/s-1/r-1"],
    ["production", "machines/ipc-01/receipts/production"],
    ["ipc-01", "machines/ipc-01/events/production"],
    ["production", "services/production/events/audit"],
    ["directory", "directory/principals/maria"],
  ] as const;

  it("is forwarded neither at once nor as retained, nor are the client lists of the hub", async () => {
    const { connect } = await startPlainHub(USERS);
    const before = await connect(onlooker);
    const atOnce = inboxOf(before);
    await before.subscribeAsync(["#", "$SYS/#"], { qos: 1 });
    for (const [user, topic] of hidden) {
      const client = await connect(user);
      await client.publishAsync(topic, "private", { qos: 1, retain: true });
    }
    const machine = await connect("ipc-01");
    await machine.publishAsync("machines/ipc-01/presence", "public", { qos: 1, retain: true });
    await atOnce.on("machines/ipc-01/presence");

    const after = await connect(onlooker);
    const retained = inboxOf(after);
    await after.subscribeAsync(["#", "$SYS/#"], { qos: 1 });
    await retained.on("machines/ipc-01/presence");

    const topics = [...atOnce.messages, ...retained.messages].map(({ topic }) => topic);
    expect(topics.filter((topic) => !topic.startsWith("$SYS/broker/"))).toEqual([
      "machines/ipc-01/presence",
      "machines/ipc-01/presence",
    ]);
  });

  it("is not kept for an absent session of theirs either", async () => {
    const { connect, resume } = await startPlainHub(USERS);
    const session = { clean: false, clientId: "panel-1" };
    const before = await connect(onlooker, session);
    await before.subscribeAsync(["#", "machines/+/presence"], { qos: 1 });
    await before.endAsync();
    const production = await connect("production");
    await production.publishAsync("responses/maria/s-1/r-1", "private", { qos: 1 });
    const machine = await connect("ipc-01");
    await machine.publishAsync("machines/ipc-01/presence", "public", { qos: 1 });

    const inbox = await resume(onlooker, session);
    await inbox.on("machines/ipc-01/presence");
    await machine.publishAsync("machines/ipc-01/summary", "end", { qos: 1 });
    await inbox.on("machines/ipc-01/summary");
    expect(inbox.messages.map(({ topic }) => topic)).toEqual(["machines/ipc-01/presence", "machines/ipc-01/summary"]);
  });
});

describe("a will that was left by an earlier start of the hub", () => {
  const machine = accessOf(principal("ipc-01", "machine"));
  const hooks = authorizeHooks({
    connectionOf: () => undefined,
    accessOfName: (name) => (name === "ipc-01" ? machine : undefined),
    order: createPublishOrder({ persistence: { keep: () => null } }),
    beforePublish: () => undefined,
    counters: newCounters(),
    onAccess: () => undefined,
    tellRefused: () => undefined,
  });
  const publish = (clientId: string, topic: string) => {
    const will = { cmd: "publish", topic, payload: Buffer.from("gone"), qos: 1, retain: true, dup: false, clientId };
    hooks.authorizePublish(null, will as PublishPacket, () => undefined);
    return will.topic;
  };

  it("is published under the right of whoever left it", () => {
    expect(publish("ipc-01:main", "machines/ipc-01/presence")).toBe("machines/ipc-01/presence");
  });

  it.each([
    ["ipc-01:main", "machines/ipc-02/presence"],
    ["gone:main", "machines/gone/presence"],
    ["", "machines/ipc-01/presence"],
  ])("of %s on %s goes nowhere", (clientId, topic) => {
    expect(publish(clientId, topic)).toBe(SINK);
  });
});
