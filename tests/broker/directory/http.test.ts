import { describe, expect, it, onTestFinished } from "vitest";
import mqtt from "mqtt";
import { LOCAL_ADMIN } from "../../../lib/contracts/directory.ts";
import { createDirectoryClient } from "../../../lib/runtime/directory-client.ts";
import { FORWARDED_BY } from "../../../lib/runtime/secret-file.ts";
import { startTestHub, type TestHub } from "../../support/hub.ts";

async function start() {
  const hub = await startTestHub();
  onTestFinished(() => hub.close());
  const client = createDirectoryClient({ url: hub.directoryUrl });
  const bearerOf = async (name: string) => ({ name, token: (await hub.signIn(name)).token });
  return { hub, client, bearerOf };
}

async function post(hub: TestHub, path: string, body: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${hub.directoryUrl}${path}`, { method: "POST", body, headers });
  return { status: response.status, body: (await response.json()) as { code: string; field?: string } };
}

describe("signing in over HTTP", () => {
  it("gives a session whose token is the MQTT password until it is signed out", async () => {
    const { hub, client } = await start();
    await hub.addPerson("maria", "operator");
    const session = await client.signIn({ user: "maria", password: "maria-password", app: "test" });
    expect(session).toMatchObject({ user: "maria", profile: "operator" });
    const connect = () =>
      mqtt.connectAsync(hub.url, {
        protocolVersion: 4,
        reconnectPeriod: 0,
        username: "maria",
        password: session.token,
      });
    await (await connect()).endAsync();
    expect(hub.hub.live().filter(({ user }) => user === "maria")).toEqual([]);
    await client.signOut({ name: "maria", token: session.token });
    await expect(connect()).rejects.toMatchObject({ code: 4 });
  });

  it("refuses with the code and its status", async () => {
    const { hub, client } = await start();
    await hub.addPerson("maria", "operator");
    const wrong = { user: "maria", password: "guess", app: "test" };
    for (let count = 0; count < 5; count += 1) {
      await expect(client.signIn(wrong)).rejects.toMatchObject({ code: "bad_credentials" });
    }
    await expect(client.signIn(wrong)).rejects.toMatchObject({ code: "locked_out" });
    expect(await post(hub, "/directory/sessions", JSON.stringify(wrong))).toMatchObject({ status: 429 });
    // Through the console it is another address, which has not failed yet.
    const elsewhere = { "x-forwarded-for": "127.0.0.9", [FORWARDED_BY]: hub.forwarder };
    expect(await post(hub, "/directory/sessions", JSON.stringify(wrong), elsewhere)).toMatchObject({ status: 401 });
    // Whoever is not the console cannot get a fresh address by naming one.
    for (const by of [{}, { [FORWARDED_BY]: "guessed" }]) {
      const named = { "x-forwarded-for": "127.0.0.10", ...by };
      expect(await post(hub, "/directory/sessions", JSON.stringify(wrong), named)).toMatchObject({ status: 429 });
    }
  });

  it("takes the local key on the hub itself and not through the console", async () => {
    const { hub, client } = await start();
    expect(await client.signInLocal(hub.localKey, "rastro")).toMatchObject({
      user: LOCAL_ADMIN,
      profile: "administrator",
    });
    const body = JSON.stringify({ localKey: hub.localKey, app: "rastro" });
    const forwarded = await post(hub, "/directory/sessions", body, { "x-forwarded-for": "127.0.0.1" });
    expect(forwarded).toMatchObject({ status: 403, body: { code: "not_allowed" } });
  });

  it.each([
    ["no JSON", "{", "malformed"],
    ["a missing field", '{"user":"maria","app":"test"}', "schema"],
    ["too much", JSON.stringify({ user: "maria", password: "x".repeat(70_000), app: "test" }), "schema"],
    [
      "words of a person in the place of a program's name",
      JSON.stringify({ user: "maria", password: "maria-password", app: "Maria's phone" }),
      "schema",
    ],
  ])("answers %s with 400", async (_what, body, code) => {
    const { hub } = await start();
    expect(await post(hub, "/directory/sessions", body)).toMatchObject({ status: 400, body: { code } });
  });
});

describe("administration", () => {
  it("adds a person who can sign in to MQTT at once", async () => {
    const { hub, client, bearerOf } = await start();
    const admin = await bearerOf(LOCAL_ADMIN);
    const row = await client.userAdd(admin, {
      name: "joao",
      profile: "operator",
      password: "joao-password",
      fullName: "João",
    });
    expect(row).toMatchObject({ name: "joao", profile: "operator", fullName: "João", badge: null, active: true });
    const options = { protocolVersion: 4, reconnectPeriod: 0, username: "joao", password: "joao-password" } as const;
    await (await mqtt.connectAsync(hub.url, options)).endAsync();
    expect(await client.userList(admin)).toEqual([row]);
  });

  it("adds a machine with a key or with a secret that is shown this once", async () => {
    const { hub, client, bearerOf } = await start();
    const admin = await bearerOf(LOCAL_ADMIN);
    const { secret } = await client.machineAdd(admin, { id: "plc-1", speaksFor: ["press-1"] });
    const options = { protocolVersion: 4, reconnectPeriod: 0, username: "plc-1", password: secret ?? "" } as const;
    await (await mqtt.connectAsync(hub.url, options)).endAsync();
    const publicKey = Buffer.alloc(32, 7).toString("base64");
    expect(await client.machineAdd(admin, { id: "ipc-02", publicKey })).toEqual({ id: "ipc-02", secret: null });
    await expect(client.machineAdd(admin, { id: "ipc-02" })).rejects.toMatchObject({ code: "name_taken" });
    const short = client.machineAdd(admin, { id: "ipc-03", publicKey: Buffer.alloc(31).toString("base64") });
    await expect(short).rejects.toMatchObject({ code: "schema", problem: { field: "publicKey" } });
  });

  it("adds a machine that never signs in, which no password opens", async () => {
    const { hub, client, bearerOf } = await start();
    const admin = await bearerOf(LOCAL_ADMIN);
    expect(await client.machineAdd(admin, { id: "oven", signsIn: false })).toEqual({ id: "oven", secret: null });
    expect(await client.machineList(admin)).toMatchObject([{ name: "oven", credential: "none", publicKey: null }]);
    for (const password of ["", "null", `rm1_${"A".repeat(43)}`]) {
      const options = { protocolVersion: 4, reconnectPeriod: 0, username: "oven", password } as const;
      await expect(mqtt.connectAsync(hub.url, options)).rejects.toMatchObject({ code: 4 });
    }
    const publicKey = Buffer.alloc(32, 7).toString("base64");
    const both = client.machineAdd(admin, { id: "press-1", signsIn: false, publicKey });
    await expect(both).rejects.toMatchObject({ code: "schema", problem: { field: "publicKey" } });
  });

  it("registers a standby by its key, and another key in its place", async () => {
    const { hub, client, bearerOf } = await start();
    const admin = await bearerOf(LOCAL_ADMIN);
    for (const byte of [7, 7, 9]) {
      const publicKey = Buffer.alloc(32, byte).toString("base64");
      await client.admitStandby(admin, { publicKey });
      const registered = hub.directory.register.principal("standby");
      expect(registered).toMatchObject({ kind: "service", profile: "service", publicKey, active: true });
    }
    await client.revokeStandby(admin);
    expect(hub.directory.register.principal("standby")?.active).toBe(false);
    await client.admitStandby(admin, { publicKey: Buffer.alloc(32, 9).toString("base64") });
    expect(hub.directory.register.principal("standby")?.active).toBe(true);
    const short = client.admitStandby(admin, { publicKey: "AAAA" });
    await expect(short).rejects.toMatchObject({ code: "schema", problem: { field: "publicKey" } });
    await hub.addPerson("maria", "supervisor");
    const publicKey = Buffer.alloc(32, 7).toString("base64");
    const byAnother = client.admitStandby(await bearerOf("maria"), { publicKey });
    await expect(byAnother).rejects.toMatchObject({ code: "not_allowed" });
  });

  it("sets for which machines one speaks, as a whole", async () => {
    const { hub, client, bearerOf } = await start();
    const admin = await bearerOf(LOCAL_ADMIN);
    await hub.addMachine("ipc-07", { speaksFor: ["press-1"] });
    const set = (speaksFor: string[]) => client.speaksFor(admin, "ipc-07", { speaksFor });
    const wanted = { id: "ipc-07", speaksFor: ["ipc-07", "press-2", "press-3"] };
    expect(await set(["press-3", "press-2", "press-3"])).toEqual(wanted);
    expect(hub.directory.register.principal("ipc-07")?.speaksFor).toEqual(wanted.speaksFor);
    expect(await set([])).toEqual({ id: "ipc-07", speaksFor: ["ipc-07"] });
    await expect(set(["Press 1"])).rejects.toMatchObject({ code: "schema", problem: { field: "speaksFor.0" } });
    const nobody = client.speaksFor(admin, "ipc-08", { speaksFor: [] });
    await expect(nobody).rejects.toMatchObject({ code: "unknown_name" });
    await hub.addPerson("maria", "operator");
    const person = client.speaksFor(admin, "maria", { speaksFor: [] });
    await expect(person).rejects.toMatchObject({ code: "unknown_name" });
  });

  it("is for administrators", async () => {
    const { hub, client, bearerOf } = await start();
    await hub.addPerson("maria", "coordinator");
    const maria = await bearerOf("maria");
    const refused = { code: "not_allowed" };
    await expect(client.userList(maria)).rejects.toMatchObject(refused);
    await expect(client.machineAdd(maria, { id: "ipc-02" })).rejects.toMatchObject(refused);
    await expect(client.machineList(maria)).rejects.toMatchObject(refused);
    await expect(client.speaksFor(maria, "ipc-02", { speaksFor: [] })).rejects.toMatchObject(refused);
    const joao = { name: "joao", profile: "operator", password: "joao-password" } as const;
    await expect(client.userAdd(maria, joao)).rejects.toMatchObject(refused);
    await expect(client.userAdd({ name: "maria", token: "maria-password" }, joao)).rejects.toMatchObject({
      code: "bad_credentials",
    });
    await expect(client.userAdd({ ...maria, name: LOCAL_ADMIN }, joao)).rejects.toMatchObject({
      code: "bad_credentials",
    });
  });

  it("names the field that does not fit", async () => {
    const { client, bearerOf } = await start();
    const admin = await bearerOf(LOCAL_ADMIN);
    const weak = client.userAdd(admin, { name: "joao", profile: "operator", password: "short" });
    await expect(weak).rejects.toMatchObject({ code: "weak_password", problem: { field: "password" } });
    const machine = client.userAdd(admin, { name: "joao", profile: "machine" as never, password: "joao-password" });
    await expect(machine).rejects.toMatchObject({ code: "schema", problem: { field: "profile" } });
  });
});

describe("a password", () => {
  it("is one's own to change, with the current one", async () => {
    const { hub, client, bearerOf } = await start();
    await hub.addPerson("maria", "operator");
    const maria = await bearerOf("maria");
    const wrong = client.passwd(maria, "maria", { password: "a-new-password", current: "guess" });
    await expect(wrong).rejects.toMatchObject({ code: "bad_credentials" });
    await client.passwd(maria, "maria", { password: "a-new-password", current: "maria-password" });
    expect(await hub.signIn("maria", "a-new-password")).toMatchObject({ user: "maria" });
    await expect(hub.signIn("maria")).rejects.toMatchObject({ code: "bad_credentials" });
  });

  it("of another is an administrator's to set", async () => {
    const { hub, client, bearerOf } = await start();
    await hub.addPerson("maria", "operator");
    await hub.addPerson("joao", "supervisor");
    const attempt = client.passwd(await bearerOf("joao"), "maria", { password: "a-new-password" });
    await expect(attempt).rejects.toMatchObject({ code: "not_allowed" });
    const admin = await bearerOf(LOCAL_ADMIN);
    await client.passwd(admin, "maria", { password: "a-new-password" });
    expect(await hub.signIn("maria", "a-new-password")).toMatchObject({ user: "maria" });
    const nobody = client.passwd(admin, "nobody", { password: "a-new-password" });
    await expect(nobody).rejects.toMatchObject({ code: "unknown_name" });
  });
});

describe("what services and agents ask", () => {
  it("a person's key is for services", async () => {
    const { hub, client, bearerOf } = await start();
    const { sub } = await hub.addPerson("maria", "operator");
    const audit = await hub.addService("audit");
    const service = { name: "audit", token: audit.password() };
    expect(await client.personKey(service, sub)).toMatchObject({ sub, name: "maria" });
    await expect(client.personKey(await bearerOf(LOCAL_ADMIN), sub)).rejects.toMatchObject({ code: "not_allowed" });
    const nobody = client.personKey(service, `p-${"0".repeat(32)}`);
    await expect(nobody).rejects.toMatchObject({ code: "unknown_name" });
  });

  it("the time is for everybody", async () => {
    const { hub, client } = await start();
    const { now, plant } = await client.time();
    expect(plant).toBe(hub.plant);
    expect(Math.abs(Date.parse(now) - Date.now())).toBeLessThan(5000);
  });

  it("the first administrator is made with the code", async () => {
    const { hub, client } = await start();
    const code = (await hub.directory.renewSetupCode()) ?? "";
    const wrong = client.setup({ code: "22222-22222-22222-22222", user: "admin", password: "admin-password" });
    await expect(wrong).rejects.toMatchObject({ code: "bad_credentials" });
    await client.setup({ code, user: "admin", password: "admin-password" });
    const again = client.setup({ code, user: "admin2", password: "admin-password" });
    await expect(again).rejects.toMatchObject({ code: "setup_done" });
    expect(await hub.signIn("admin")).toMatchObject({ profile: "administrator" });
  });
});
