import { describe, expect, it } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { Event } from "../../../lib/contracts/events.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import { LOCAL_KEY, stagedEvents, testDirectory, type TestDirectory } from "../../support/directory.ts";

const MARIA = {
  name: "maria",
  profile: "operator",
  password: "correct horse",
  fullName: "Maria da Silva",
  badge: "B-4711",
} as const;
const ADMIN = { sub: "p-00000000000000000000000000000001", auth: "session" } as const;

async function everythingOf(store: Store): Promise<string> {
  const all = [];
  for await (const [key, value] of store.range({ gte: Buffer.alloc(0), lt: Buffer.alloc(64, 0xff) }))
    all.push(key, value);
  return Buffer.concat(all).toString("latin1");
}

async function makeEveryChange({ directory }: TestDirectory): Promise<void> {
  const publicKey = createKey().publicRaw.toString("base64");
  await directory.people.add(ADMIN, MARIA);
  await directory.people.setPassword(ADMIN, "maria", "another horse");
  await directory.devices.addMachine(ADMIN, { id: "ipc-01", publicKey, speaksFor: [] });
  await directory.devices.setSpeaksFor(ADMIN, "ipc-01", ["press-1"]);
  await directory.devices.addService(BY_DIRECTORY, "audit", publicKey);
  const session = await directory.signIn({ user: "maria", password: "another horse", address: "127.0.0.1" }, "rastro");
  const maria = { sub: directory.register.principal("maria")?.sub ?? "", auth: "session" } as const;
  await directory.sessions.end((one) => one.session === session.session, maria, "signed-out");
  await directory.people.setProfile(ADMIN, "maria", "supervisor");
  await directory.people.lock(ADMIN, "maria");
  await directory.people.unlock(ADMIN, "maria");
  await directory.devices.revoke(ADMIN, "ipc-01");
  await directory.devices.readmit(ADMIN, "ipc-01", null);
}

describe.each(["memory", "level"] as const)("a change of the directory, on %s", (kind) => {
  it("stages the event that tells of it, signed, with ids and without a name", async () => {
    const test = await testDirectory(kind);
    await makeEveryChange(test);
    const staged = await stagedEvents(test.directory);
    const sub = test.directory.register.principal("maria")?.sub;
    expect(staged.map(({ event }) => [event.type, event.actor.sub, event.obj.kind])).toEqual([
      ["user.added", ADMIN.sub, "person"],
      ["user.password-set", ADMIN.sub, "person"],
      ["machine.added", ADMIN.sub, "machine"],
      ["machine.speaks-for-set", ADMIN.sub, "machine"],
      ["service.added", "directory", "service"],
      ["session.started", sub, "session"],
      ["session.ended", sub, "session"],
      ["user.profile-set", ADMIN.sub, "person"],
      ["user.locked", ADMIN.sub, "person"],
      ["user.unlocked", ADMIN.sub, "person"],
      ["machine.revoked", ADMIN.sub, "machine"],
      ["machine.readmitted", ADMIN.sub, "machine"],
    ]);
    for (const { event, sig } of staged) {
      expect(Event.safeParse(event).success).toBe(true);
      expect(test.isSigned(canonicalBytes(event), sig ?? "")).toBe(true);
    }
    expect(JSON.stringify(staged)).not.toMatch(/maria|Silva|B-4711/);
  });

  it("keeps full name and badge readable for administrators and sealed on disk", async () => {
    const { directory, store, keyStore } = await testDirectory(kind);
    await directory.people.add(BY_DIRECTORY, MARIA);
    expect(await directory.people.list()).toMatchObject([
      { name: "maria", fullName: "Maria da Silva", badge: "B-4711" },
    ]);
    expect(await everythingOf(store)).not.toMatch(/Silva|B-4711|correct horse/);
    const { sub, key, name } = await directory.people.key(directory.register.principal("maria")?.sub ?? "");
    expect([sub, Buffer.from(key, "base64").length, name]).toEqual([sub, 32, "maria"]);
    expect(await everythingOf(keyStore)).toContain(sub);
    expect(await everythingOf(store)).not.toContain(Buffer.from(key, "base64").toString("latin1"));
  });

  it("keeps no credential that could be used", async () => {
    const { directory, store } = await testDirectory(kind);
    await directory.people.add(BY_DIRECTORY, MARIA);
    const { token } = await directory.signIn(
      { user: "maria", password: "correct horse", address: "127.0.0.1" },
      "rastro",
    );
    const { secret } = await directory.devices.addMachine(BY_DIRECTORY, {
      id: "plc-1",
      publicKey: null,
      speaksFor: [],
    });
    const code = await directory.renewSetupCode();
    const bytes = await everythingOf(store);
    for (const given of [token, secret, code, LOCAL_KEY, "correct horse"]) expect(bytes).not.toContain(given);
  });

  it("tells nothing of setting what is set already", async () => {
    const { directory } = await testDirectory(kind);
    await directory.devices.addMachine(ADMIN, { id: "ipc-01", publicKey: null, speaksFor: ["press-2", "press-1"] });
    await directory.devices.setSpeaksFor(ADMIN, "ipc-01", ["press-1", "ipc-01", "press-2"]);
    await directory.devices.setSpeaksFor(ADMIN, "ipc-01", ["press-1"]);
    expect((await stagedEvents(directory)).slice(1).map(({ event }) => event.payload)).toEqual([
      { before: ["ipc-01", "press-2", "press-1"], after: ["ipc-01", "press-1"] },
    ]);
  });

  it("gives a name once, to people, machines and services alike, also when asked for at once", async () => {
    const { directory } = await testDirectory(kind);
    const machine = { id: "ipc-01", publicKey: null, speaksFor: [] };
    const results = await Promise.allSettled([
      directory.devices.addMachine(BY_DIRECTORY, machine),
      directory.devices.addMachine(BY_DIRECTORY, machine),
      directory.people.add(BY_DIRECTORY, { ...MARIA, name: "ipc-01" }),
    ]);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await stagedEvents(directory)).length).toBe(1);
  });

  it.each(["audit", "console", "local-admin"])("gives the name %s to no person and no machine", async (name) => {
    const { directory } = await testDirectory(kind);
    const taken = { code: "name_taken", problem: { given: name } };
    await expect(directory.people.add(BY_DIRECTORY, { ...MARIA, name })).rejects.toMatchObject(taken);
    const machine = directory.devices.addMachine(BY_DIRECTORY, { id: name, publicKey: null, speaksFor: [] });
    await expect(machine).rejects.toMatchObject(taken);
    expect(await stagedEvents(directory)).toEqual([]);
  });

  it("makes the first administrator with the one-time code, once", async () => {
    const { directory } = await testDirectory(kind);
    const old = await directory.renewSetupCode();
    const code = await directory.renewSetupCode();
    await expect(directory.setup(old ?? "", "admin", "correct horse")).rejects.toMatchObject({
      code: "bad_credentials",
    });
    // Copied by hand: in capitals and without the dashes.
    const typed = (code ?? "").toUpperCase().replaceAll("-", " ");
    expect(await directory.setup(typed, "admin", "correct horse")).toMatchObject({
      name: "admin",
      profile: "administrator",
    });
    await expect(directory.setup(code ?? "", "second", "correct horse")).rejects.toMatchObject({ code: "setup_done" });
    expect(await directory.renewSetupCode()).toBeNull();
  });
});

describe("a directory that is opened again", () => {
  it("knows everybody, the same person by the same id, and the sessions", async () => {
    const first = await testDirectory("level");
    await first.directory.people.add(BY_DIRECTORY, MARIA);
    await first.directory.devices.addMachine(BY_DIRECTORY, { id: "ipc-01", publicKey: null, speaksFor: ["press-1"] });
    const credentials = { user: "maria", password: "correct horse", address: "127.0.0.1" };
    const { token, session } = await first.directory.signIn(credentials, "rastro");
    const before = first.directory.register.principals();

    const second = await first.reopen();
    expect(second.directory.register.principals()).toEqual(before);
    expect(await second.directory.people.list()).toMatchObject([{ fullName: "Maria da Silva" }]);
    const verdict = await second.directory.credentials.authenticate({ ...credentials, password: token });
    expect(verdict).toMatchObject({ principal: { name: "maria" }, session });
    expect(await stagedEvents(second.directory)).toHaveLength(3);
  });

  it("ends what expired meanwhile, in the book as well", async () => {
    const first = await testDirectory("level");
    await first.directory.people.add(BY_DIRECTORY, MARIA);
    const credentials = { user: "maria", password: "correct horse", address: "127.0.0.1" };
    const { session } = await first.directory.signIn(credentials, "rastro");
    first.clock.now += 13 * 60 * 60_000;

    const { directory } = await first.reopen();
    await directory.sessions.sweep();
    const last = (await stagedEvents(directory)).at(-1)?.event;
    expect(last).toMatchObject({
      type: "session.ended",
      actor: { sub: "directory" },
      obj: { key: session },
      payload: { why: "expired" },
    });
  });

  it("keeps a session that an open connection uses", async () => {
    const { directory, clock } = await testDirectory();
    await directory.people.add(BY_DIRECTORY, MARIA);
    const credentials = { user: "maria", password: "correct horse", address: "127.0.0.1" };
    const { token, session } = await directory.signIn(credentials, "rastro");
    for (let hours = 0; hours < 20; hours += 1) {
      clock.now += 60 * 60_000;
      directory.sessions.inUse([session]);
    }
    expect(directory.sessions.find(token)).toMatchObject({ session });
  });
});
