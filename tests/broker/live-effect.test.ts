import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { describe, expect, it, onTestFinished } from "vitest";
import { BY_DIRECTORY } from "../../broker/directory/drafts.ts";
import { LOCAL_ADMIN } from "../../lib/contracts/directory.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { createKey } from "../../lib/runtime/keys.ts";
import { startTestHub } from "../support/hub.ts";
import { inboxOf } from "../support/inbox.ts";

/* Connections are open on both transports while the directory changes: what is asked of it holds for them at once. */

async function start() {
  const hub = await startTestHub({ wsPort: 0 });
  onTestFinished(() => hub.close());
  const client = createDirectoryClient({ url: hub.directoryUrl });
  const admin = { name: LOCAL_ADMIN, token: (await hub.signIn(LOCAL_ADMIN)).token };
  const connect = async (user: string, password: string, options: IClientOptions = {}, url = hub.url) => {
    const opened = await mqtt.connectAsync(url, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      username: user,
      password,
      ...options,
    });
    onTestFinished(() => opened.endAsync(true));
    return opened;
  };
  return {
    hub,
    client,
    admin,
    connect,
    overWebSocket: (user: string, password: string) => connect(user, password, {}, hub.hub.wsUrl ?? ""),
    live: (user: string) => hub.hub.live().filter((connection) => connection.user === user),
    why: () => hub.access.filter(({ kind }) => kind === "disconnected").map(({ user, why }) => [user, why]),
  };
}

function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once("close", () => resolve()));
}

describe("a person", () => {
  it("who is locked is out everywhere, and can be let in again", async () => {
    const { hub, client, admin, connect, overWebSocket, live, why } = await start();
    await hub.addPerson("maria", "operator");
    const session = await hub.signIn("maria");
    const open = [
      await connect("maria", session.token),
      await overWebSocket("maria", session.token),
      await connect("maria", "maria-password"),
    ].map(closed);
    await client.setUserActive(admin, "maria", false);
    expect(live("maria")).toEqual([]);
    await Promise.all(open);
    expect(why()).toEqual([
      ["maria", "locked"],
      ["maria", "locked"],
      ["maria", "locked"],
    ]);
    await expect(connect("maria", session.token)).rejects.toMatchObject({ code: 4 });
    await expect(connect("maria", "maria-password")).rejects.toMatchObject({ code: 4 });
    await expect(hub.signIn("maria")).rejects.toMatchObject({ code: "bad_credentials" });

    await client.setUserActive(admin, "maria", true);
    await connect("maria", "maria-password");
    // The sessions from before stay ended.
    await expect(connect("maria", session.token)).rejects.toMatchObject({ code: 4 });
  });

  it("who sets a new password goes on in the session where it was done and in no other", async () => {
    const { hub, client, connect, live, why } = await start();
    await hub.addPerson("maria", "operator");
    const [here, elsewhere] = [await hub.signIn("maria"), await hub.signIn("maria")];
    await connect("maria", here.token, { clientId: "here" });
    const others = [
      await connect("maria", elsewhere.token, { clientId: "elsewhere" }),
      await connect("maria", "maria-password", { clientId: "by-password" }),
    ].map(closed);
    const bearer = { name: "maria", token: here.token };
    await client.passwd(bearer, "maria", { password: "another horse", current: "maria-password" });
    expect(live("maria").map((connection) => connection.client)).toEqual(["here"]);
    await Promise.all(others);
    expect(why()).toEqual([
      ["maria", "password-changed"],
      ["maria", "password-changed"],
    ]);
    await expect(connect("maria", elsewhere.token)).rejects.toMatchObject({ code: 4 });
  });

  it("whose profile changes comes back with the same session under the new rights", async () => {
    const { hub, client, admin, connect, why } = await start();
    await hub.addPerson("ines", "inspector");
    const { secret } = await hub.addDevice("press-07");
    const { token } = await hub.signIn("ines");
    const persistent: IClientOptions = { clean: false, clientId: "tree" };
    const before = await connect("ines", token, persistent);
    await before.subscribeAsync({ "#": { qos: 1 }, "machines/+/summary": { qos: 1 } });
    const ended = closed(before);
    await client.setProfile(admin, "ines", { profile: "operator" });
    await ended;
    expect(why()).toEqual([["ines", "profile-changed"]]);

    // What no filter of an operator covers is gone from the stored session; the rest of it is delivered.
    const machine = await connect("press-07", secret);
    await machine.publishAsync("machines/press-07/witness/production/response/1", "hidden", { qos: 1 });
    await machine.publishAsync("machines/press-07/summary", "{}", { qos: 1 });
    const after = mqtt.connect(hub.url, { ...persistent, protocolVersion: 4, username: "ines", password: token });
    onTestFinished(() => after.endAsync(true));
    const inbox = inboxOf(after);
    await inbox.on("machines/press-07/summary");
    expect(inbox.messages.map(({ topic }) => topic)).toEqual(["machines/press-07/summary"]);
    await expect(after.subscribeAsync("#")).rejects.toThrow(/unspecified error/i);
  });
});

describe("a machine", () => {
  it("that is revoked is out at once and leaves nothing queued; readmitted, it begins anew", async () => {
    const { hub, client, admin, connect, live, why } = await start();
    const { secret } = await hub.addDevice("press-07");
    const audit = await hub.addService("audit");
    const sender = await connect("audit", audit.password());
    const persistent: IClientOptions = { clean: false, clientId: "agent" };
    const away = await connect("press-07", secret, persistent);
    await away.subscribeAsync("machines/press-07/receipts/audit", { qos: 1 });
    await away.endAsync();
    await sender.publishAsync("machines/press-07/receipts/audit", "waiting", { qos: 1 });
    const open = closed(await connect("press-07", secret, { clientId: "other" }));

    await client.machineRevoke(admin, "press-07");
    expect(live("press-07")).toEqual([]);
    await open;
    expect(why()).toEqual([["press-07", "revoked"]]);
    await expect(connect("press-07", secret)).rejects.toMatchObject({ code: 4 });

    const readmitted = await client.machineReadmit(admin, "press-07", null);
    await expect(connect("press-07", secret)).rejects.toMatchObject({ code: 4 });
    const back = mqtt.connect(hub.url, {
      ...persistent,
      protocolVersion: 4,
      username: "press-07",
      password: readmitted.secret ?? "",
    });
    onTestFinished(() => back.endAsync(true));
    const inbox = inboxOf(back);
    const connack = await new Promise<mqtt.IConnackPacket>((resolve) => back.once("connect", resolve));
    expect(connack.sessionPresent).toBe(false);
    await back.subscribeAsync("machines/press-07/receipts/audit", { qos: 1 });
    await sender.publishAsync("machines/press-07/receipts/audit", "fresh", { qos: 1 });
    await inbox.until((messages) => messages.some(({ text }) => text === "fresh"));
    expect(inbox.messages.map(({ text }) => text)).toEqual(["fresh"]);
  });

  it("or service that gets another key has to show that one", async () => {
    const { hub, connect, live, why } = await start();
    const audit = await hub.addService("audit");
    const open = closed(await connect("audit", audit.password()));
    const other = createKey().publicRaw.toString("base64");
    await hub.directory.devices.replaceKey(BY_DIRECTORY, "audit", other);
    expect(live("audit")).toEqual([]);
    await open;
    expect(why()).toContainEqual(["audit", "key-replaced"]);
    await expect(connect("audit", audit.password())).rejects.toMatchObject({ code: 4 });
  });
});

describe("sessions", () => {
  it("are listed with who, from where, since when and whether they are connected", async () => {
    const { hub, client, admin, connect } = await start();
    await hub.addPerson("maria", "operator");
    await hub.addPerson("ines", "inspector");
    const maria = await client.signIn({ user: "maria", password: "maria-password", app: "console" });
    await connect("maria", maria.token, { clientId: "screen" });
    await connect("ines", "ines-password", { clientId: "explorer" });
    const rows = await client.sessionList(admin, null);
    expect(rows.find(({ session }) => session === maria.session)).toMatchObject({
      user: "maria",
      profile: "operator",
      app: "console",
      auth: "session",
      expiresAt: maria.expiresAt,
      addresses: ["127.0.0.1"],
      clients: ["screen"],
      connected: true,
      current: false,
    });
    expect(rows.find(({ user }) => user === "ines")).toMatchObject({
      session: null,
      auth: "password",
      expiresAt: null,
      clients: ["explorer"],
    });
    expect(rows.filter(({ current }) => current).map(({ user }) => user)).toEqual([LOCAL_ADMIN]);

    const bearer = { name: "maria", token: maria.token };
    expect((await client.sessionList(bearer, null)).map(({ user }) => user)).toEqual(["maria"]);
    await expect(client.sessionList(bearer, "ines")).rejects.toMatchObject({ code: "not_allowed" });
  });

  it("end one by one, all of a person, or all of one's own but one, and their connections with them", async () => {
    const { hub, client, admin, connect, live } = await start();
    await hub.addPerson("maria", "operator");
    await hub.addPerson("joao", "operator");
    const sessions = await Promise.all([1, 2, 3, 4].map(() => hub.signIn("maria")));
    const [first, second] = sessions;
    if (first === undefined || second === undefined) throw new Error("no session");
    for (const { token, session } of sessions) await connect("maria", token, { clientId: session });
    const joao = { name: "joao", token: (await hub.signIn("joao")).token };
    const unknown = { code: "unknown_session" };
    await expect(client.sessionEnd(joao, { session: first.session })).rejects.toMatchObject(unknown);
    await expect(client.sessionEnd(joao, { user: "maria" })).rejects.toMatchObject({ code: "not_allowed" });

    await client.sessionEnd(admin, { session: first.session });
    expect(live("maria").map(({ session }) => session)).toEqual(sessions.slice(1).map(({ session }) => session));
    await expect(connect("maria", first.token)).rejects.toMatchObject({ code: 4 });

    const bearer = { name: "maria", token: second.token };
    expect(await client.sessionEnd(bearer, { mineOthers: true })).toMatchObject({ connections: 0 });
    expect(live("maria").map(({ session }) => session)).toEqual([second.session]);

    await connect("maria", "maria-password");
    expect(await client.sessionEnd(admin, { user: "maria" })).toEqual({ sessions: [second.session], connections: 1 });
    expect(live("maria")).toEqual([]);
    expect((await client.sessionList(joao, null)).map(({ user }) => user)).toEqual(["joao"]);
  });
});
