import type { Packet } from "mqtt-packet";
import { expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { BY_DIRECTORY } from "../../broker/directory/drafts.ts";
import { keepSessions } from "../../broker/keep-sessions.ts";
import { LOCAL_ADMIN } from "../../lib/contracts/directory.ts";
import type { Sealed } from "../../lib/contracts/events.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { createKey } from "../../lib/runtime/keys.ts";
import { FORWARDED_BY } from "../../lib/runtime/secret-file.ts";
import { unseal } from "../../lib/storage/people/sealing.ts";
import { startAccessPlant } from "../support/access-plant.ts";
import { connectPacket, isConnack, openRaw } from "../support/raw-mqtt.ts";
import { SILENT } from "../support/silent.ts";

/* What the hub sees of access, from a connection to a record that an auditor reads. */

it("wrong passwords are a record at once and a count later, without a name or an address in clear", async () => {
  const { hub, records, minute, connect } = await startAccessPlant();
  const sub = hub.directory.register.principal("maria")?.sub ?? "";
  const attempt = async (index: number) => {
    await expect(connect("maria", "wrong", { clientId: `try-${index}` })).rejects.toThrow(/refused/i);
  };
  await attempt(0);
  await vi.waitFor(async () => expect(await records("connection.refused")).toHaveLength(1));
  for (let index = 1; index < 20; index += 1) await attempt(index);
  minute();

  await vi.waitFor(async () => expect(await records("connection.refused")).toHaveLength(4));
  const told = (await records("connection.refused")).map(({ event, added, via }) => ({ event, added, via }));
  // Five are looked at, fifteen are locked out: each has its first and its count.
  const counted = told.map(({ event: { payload } }) => ({ by: payload["by"], count: payload["count"] }));
  const expected = { bad_credentials: [1, 4], locked_out: [1, 14] };
  for (const [by, counts] of Object.entries(expected)) {
    for (const count of counts) expect(counted).toContainEqual({ by, count });
  }
  for (const { event, added, via } of told) {
    expect({ result: added.result, via: via.name }).toEqual({ result: "booked", via: "broker" });
    // Whoever it was has not shown to be Maria.
    expect(event).toMatchObject({ actor: { sub: "broker", auth: "service" }, obj: { kind: "person", key: sub } });
    expect(JSON.stringify(event)).not.toMatch(/maria|127\.0\.0\.1|try-/);
    const key = Buffer.from((await hub.directory.people.key(sub)).key, "base64");
    expect(unseal(key, event.payload["address"] as Sealed, `${event.id}/address`)).toBe("127.0.0.1");
  }
});

it("a name that nobody has is not written down, over MQTT and over HTTP", async () => {
  const { hub, records, connect } = await startAccessPlant();
  await expect(connect("hunter2", "hunter2")).rejects.toThrow(/refused/i);
  const directory = createDirectoryClient({ url: hub.directoryUrl });
  await expect(directory.signIn({ user: "hunter2", password: "hunter2", app: "test" })).rejects.toMatchObject({
    code: "bad_credentials",
  });
  await expect(directory.signIn({ user: "maria", password: "wrong", app: "test" })).rejects.toMatchObject({
    code: "bad_credentials",
  });
  await vi.waitFor(async () => expect(await records("session.refused")).toHaveLength(2));
  const told = [...(await records("connection.refused")), ...(await records("session.refused"))];
  expect(JSON.stringify(told)).not.toMatch(/hunter2|maria/);
  const sub = hub.directory.register.principal("maria")?.sub;
  const whose = told.map(({ event }) => event.obj.key);
  expect(whose.filter((key) => key === "unknown")).toHaveLength(2);
  expect(whose).toContain(sub);
});

it("an agent that comes and goes is one record, a person with a password one each minute", async () => {
  const { hub, records, minute, connect } = await startAccessPlant();
  const { secret } = await hub.addDevice("press-07");
  for (let index = 0; index < 10; index += 1) await (await connect("press-07", secret)).endAsync();
  minute();
  for (let index = 0; index < 3; index += 1) await (await connect("maria", "maria-password")).endAsync();
  minute();
  const admittedAs = async (key: string) =>
    (await records("connection.admitted")).filter(({ event }) => event.actor.sub === key);
  const sub = hub.directory.register.principal("maria")?.sub ?? "";
  await vi.waitFor(async () => expect(await admittedAs(sub)).toHaveLength(2));
  expect((await admittedAs(sub)).map(({ event }) => event.payload["count"])).toEqual([2, 1]);
  expect(await admittedAs("press-07")).toMatchObject([
    { event: { actor: { auth: "device" }, payload: { by: "key", count: 1, address: null } } },
  ]);
});

it("a takeover, refused packets and a connection that was cut are each on record", async () => {
  const { hub, records, connect } = await startAccessPlant();
  const { secret } = await hub.addDevice("press-07");
  const first = await connect("press-07", secret, { clientId: "one" });
  first.on("error", () => undefined);
  const second = await connect("press-07", secret, { clientId: "one" });
  onTestFinished(() => second.endAsync(true));
  second.on("error", () => undefined);
  await second.publishAsync("requests/maria/a1/production/entry-add/r1", "{}", { qos: 1 });
  await second.subscribeAsync("machines/ipc-01/commands/#").catch(() => undefined);
  second.publish("machines/press-07/summary", Buffer.alloc(300_000));
  await vi.waitFor(async () => expect(await records("connection.ended")).toHaveLength(1));
  expect(await records("connection.taken-over")).toMatchObject([{ event: { actor: { sub: "press-07" } } }]);
  const packets = (await records("packet.refused")).map(({ event }) => ({
    what: event.payload["what"],
    obj: event.obj,
  }));
  expect(packets).toHaveLength(2);
  expect(packets).toContainEqual({
    what: "publish-refused",
    obj: { kind: "topic", key: "requests/production/entry-add" },
  });
  expect(packets).toContainEqual({
    what: "subscribe-refused",
    obj: { kind: "topic", key: "machines/ipc-01/commands/#" },
  });
  expect(await records("connection.ended")).toMatchObject([
    { event: { obj: { kind: "machine", key: "press-07" }, payload: { what: "frame-refused", by: "too_large" } } },
  ]);
});

it("a reader that does not keep up is on record when it is cut off", async () => {
  const { hub, records, connect } = await startAccessPlant({ outletLimits: { queuedBytes: 300_000 } });
  const { sub } = await hub.addPerson("ines", "inspector");
  const { secret } = await hub.addDevice("press-07");
  const slow = await openRaw(hub.url);
  onTestFinished(() => void slow.socket.destroy());
  slow.send(connectPacket("ines", { password: Buffer.from("ines-password") }));
  await slow.next(isConnack);
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "machines/#", qos: 1 }] });
  await slow.next((packet): packet is Packet => packet.cmd === "suback");
  slow.socket.pause();
  const machine = await connect("press-07", secret);
  onTestFinished(() => machine.endAsync(true));
  while (hub.hub.counters.tooSlow === 0) {
    await machine.publishAsync("machines/press-07/summary", "x".repeat(60_000), { qos: 1 });
  }
  await vi.waitFor(async () =>
    expect(await records("connection.ended")).toMatchObject([
      { event: { obj: { kind: "person", key: sub }, payload: { what: "too-slow", by: "too_slow", whose: sub } } },
    ]),
  );
});

it("everything that happens to access is on record: who did it, to whom, and why", async () => {
  const clock = { ahead: 0 };
  const { hub, records, connect } = await startAccessPlant({
    now: () => Date.now() + clock.ahead,
    wsPort: 0,
    connectionLimits: { address: 1, principal: 3 },
  });
  const directory = createDirectoryClient({ url: hub.directoryUrl });
  const admin = { name: LOCAL_ADMIN, token: (await hub.signIn(LOCAL_ADMIN)).token };
  const joao = (await hub.addPerson("joao", "operator")).sub;
  const { secret } = await hub.addDevice("press-07");
  const fleet = await hub.addService("fleet");
  const open = async (user: string, password: string, clientId: string) => {
    const client = await connect(user, password, { clientId });
    client.on("error", () => undefined);
    onTestFinished(() => client.endAsync(true));
  };
  const refused = (user: string, password: string, options = {}) =>
    expect(connect(user, password, options)).rejects.toThrow(/refused/i);

  // Admitted, taken over, too many of one name, too many of one address.
  await open("joao", "joao-password", "a");
  await open("joao", "joao-password", "a");
  await open("joao", "joao-password", "b");
  await open("joao", "joao-password", "c");
  await refused("joao", "joao-password", { clientId: "d" });
  const forwarded = { "x-forwarded-for": "10.0.0.1", [FORWARDED_BY]: hub.forwarder };
  const sockets = [1, 2].map(() => new WebSocket(hub.hub.wsUrl ?? "", "mqtt", { headers: forwarded }));
  onTestFinished(() => sockets.forEach((socket) => socket.terminate()));
  // A will that its user may not publish; a wrong password until it is locked out; a request without the right to it.
  await refused("maria", "maria-password", {
    will: { topic: "machines/ipc-01/presence", payload: Buffer.from("x"), qos: 0 },
  });
  for (let count = 0; count < 6; count += 1) await refused("maria", "wrong");
  const own = await directory.signIn({ user: "joao", password: "joao-password", app: "test" });
  const bearer = { name: "joao", token: own.token };
  await expect(directory.userList(bearer)).rejects.toMatchObject({ code: "not_allowed" });
  await expect(directory.signIn({ user: "joao", password: "wrong", app: "test" })).rejects.toThrow(/do not fit/);

  // Changes of a person, each while somebody is connected.
  await directory.setProfile(admin, "joao", { profile: "supervisor" });
  await open("joao", "joao-password", "b");
  await directory.passwd(admin, "joao", { password: "another horse" });
  await open("joao", "another horse", "c");
  const shut = await hub.signIn("joao", "another horse");
  await directory.setUserActive(admin, "joao", false);
  await directory.setUserActive(admin, "joao", true);
  const session = await hub.signIn("joao", "another horse");
  await open("joao", session.token, "d");
  await directory.sessionEnd(admin, { session: session.session });
  const left = await hub.signIn("joao", "another horse");
  await directory.signOut({ name: "joao", token: left.token });
  // And of what signs in by itself.
  await open("press-07", secret, "a");
  await directory.machineRevoke(admin, "press-07");
  await directory.machineReadmit(admin, "press-07", null);
  await open("fleet", fleet.password(), "a");
  await hub.directory.devices.replaceKey(BY_DIRECTORY, "fleet", createKey().publicRaw.toString("base64"));
  // At last a session runs out.
  const forgotten = await hub.signIn("joao", "another horse");
  clock.ahead += 13 * 60 * 60_000;
  keepSessions({ hub: hub.hub, directory: hub.directory, everyMs: 60_000, log: SILENT })();

  const person = { kind: "person", key: joao };
  const machine = { kind: "machine", key: "press-07" };
  const sessionOf = (key: string) => ({ kind: "session", key });
  const byAdmin = { sub: LOCAL_ADMIN, auth: "local" };
  const byHub = { sub: "broker", auth: "service" };
  const expected = [
    { type: "connection.admitted", actor: { sub: joao }, obj: person, payload: { by: "password" } },
    { type: "connection.taken-over", actor: { sub: joao }, obj: person },
    { type: "connection.refused", obj: person, payload: { what: "connection-refused", by: "busy", whose: joao } },
    { type: "connection.refused", obj: { kind: "name", key: "unknown" }, payload: { by: "busy", whose: null } },
    { type: "connection.refused", payload: { what: "connection-refused", by: "not_allowed" } },
    { type: "connection.refused", payload: { what: "sign-in-refused", by: "bad_credentials" } },
    { type: "connection.refused", payload: { what: "sign-in-refused", by: "locked_out" } },
    { type: "request.refused", obj: { kind: "operation", key: "directory/users" }, payload: { by: "not_allowed" } },
    { type: "session.refused", obj: person, payload: { by: "bad_credentials" } },
    { type: "session.started", actor: { sub: joao, auth: "session" }, obj: sessionOf(own.session) },
    { type: "user.profile-set", actor: byAdmin, obj: person, payload: { before: "operator", after: "supervisor" } },
    { type: "connection.ended", actor: byHub, obj: person, payload: { what: "disconnected", by: "profile-changed" } },
    { type: "user.password-set", actor: byAdmin, obj: person },
    { type: "session.ended", actor: byAdmin, obj: sessionOf(own.session), payload: { why: "password-changed" } },
    { type: "connection.ended", actor: byHub, obj: person, payload: { what: "disconnected", by: "password-changed" } },
    { type: "user.locked", actor: byAdmin, obj: person },
    { type: "connection.ended", actor: byHub, obj: person, payload: { what: "disconnected", by: "locked" } },
    { type: "session.ended", actor: byAdmin, obj: sessionOf(shut.session), payload: { why: "locked" } },
    { type: "user.unlocked", actor: byAdmin, obj: person },
    { type: "session.ended", actor: byAdmin, obj: sessionOf(session.session), payload: { why: "ended", whose: joao } },
    { type: "connection.ended", actor: byHub, obj: person, payload: { what: "disconnected", by: "session-ended" } },
    { type: "session.ended", actor: { sub: joao }, obj: sessionOf(left.session), payload: { why: "signed-out" } },
    { type: "machine.revoked", actor: byAdmin, obj: machine },
    { type: "connection.ended", actor: byHub, obj: machine, payload: { what: "disconnected", by: "revoked" } },
    { type: "machine.readmitted", actor: byAdmin, obj: machine, payload: { credential: "secret" } },
    { type: "service.added", obj: { kind: "service", key: "fleet" }, payload: { replaced: true } },
    { type: "connection.ended", obj: { kind: "service", key: "fleet" }, payload: { by: "key-replaced" } },
    {
      type: "session.ended",
      actor: { sub: "directory" },
      obj: sessionOf(forgotten.session),
      payload: { why: "expired" },
    },
  ];
  // The directory began to tell before there was an audit service, and tells again after five seconds.
  await vi.waitFor(async () => {
    const told = (await records()).map(({ event }) => event);
    expect(expected.filter((event) => !told.some((one) => holds(one, event)))).toEqual([]);
  }, 20_000);
  // None was turned away by the audit book, and none has a login in it.
  const all = await records();
  expect(all.filter(({ added }) => added.result !== "booked")).toEqual([]);
  expect(JSON.stringify(all.map(({ event }) => event))).not.toMatch(/joao|maria|10\.0\.0\.1/);
});

/** Whether a value has at least these fields, at every depth. */
function holds(value: unknown, fields: unknown): boolean {
  if (typeof fields !== "object" || fields === null) return value === fields;
  return Object.entries(fields).every(([name, field]) => holds((value as { [name: string]: unknown })[name], field));
}
