import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { hashesAtOnce } from "../../../lib/runtime/passwords.ts";
import type { Directory } from "../../../broker/directory/directory.ts";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { SESSION_LIMITS } from "../../../broker/directory/sessions.ts";
import { LOCAL_ADMIN } from "../../../lib/contracts/directory.ts";
import { createKey, type KeyPair } from "../../../lib/runtime/keys.ts";
import { signToken } from "../../../lib/runtime/token.ts";
import { LOCAL_KEY, PLANT, stagedEvents, testDirectory, type TestDirectory } from "../../support/directory.ts";

const REFUSED = { refused: "bad_credentials" };
const HERE = "127.0.0.1";

async function withPeople() {
  const test = await testDirectory();
  await test.directory.people.add(BY_DIRECTORY, { name: "maria", profile: "operator", password: "correct horse" });
  const present = (user: string, password: string, address = HERE) =>
    test.directory.credentials.authenticate({ user, password, address });
  return { ...test, present };
}

async function withKey(kind: "machine" | "service") {
  const test = await withPeople();
  const key = createKey();
  const publicKey = key.publicRaw.toString("base64");
  const name = kind === "machine" ? "ipc-01" : "audit";
  if (kind === "machine") {
    await test.directory.devices.addMachine(BY_DIRECTORY, { id: name, publicKey, speaksFor: [] });
  } else {
    await test.directory.devices.addService(BY_DIRECTORY, name, publicKey);
  }
  return { ...test, key, name };
}

function token(test: TestDirectory, sub: string, key: KeyPair, change: { aud?: string; at?: number } = {}): string {
  const now = () => change.at ?? test.clock.now;
  return signToken({ sub, aud: change.aud ?? PLANT.id, privateKey: key.privateKey, now, nonce: "n" });
}

describe("a person", () => {
  it("is known by the password, and nobody else by it", async () => {
    const { present } = await withPeople();
    expect(await present("maria", "correct horse")).toMatchObject({ principal: { name: "maria" }, session: null });
    expect(await present("maria", "wrong horse")).toEqual(REFUSED);
    expect(await present("nobody", "correct horse")).toEqual(REFUSED);
    expect(await present("maria", "")).toEqual(REFUSED);
  });

  it("may type an accented password on any keyboard", async () => {
    const { directory, present } = await withPeople();
    await directory.people.add(BY_DIRECTORY, { name: "joao", profile: "operator", password: "pa\u00e7oca doce" });
    expect(await present("joao", "pac\u0327oca doce")).toMatchObject({ principal: { name: "joao" } });
  });

  it("is known by a session's token until it ends", async () => {
    const { directory, present, clock } = await withPeople();
    const started = await directory.signIn({ user: "maria", password: "correct horse", address: HERE }, "test");
    expect(await present("maria", started.token)).toMatchObject({ session: started.session });
    expect(await present("ipc-01", started.token)).toEqual(REFUSED);
    clock.now += SESSION_LIMITS.idleMs + 1;
    expect(await present("maria", started.token)).toEqual(REFUSED);
  });

  it("keeps a session by using it, but not for ever", async () => {
    const { directory, present, clock } = await withPeople();
    const { token: given } = await directory.signIn(
      { user: "maria", password: "correct horse", address: HERE },
      "test",
    );
    const start = clock.now;
    while (clock.now - start < SESSION_LIMITS.maxMs) {
      expect(await present("maria", given)).toMatchObject({ principal: { name: "maria" } });
      clock.now += SESSION_LIMITS.idleMs - 1;
    }
    expect(await present("maria", given)).toEqual(REFUSED);
  });

  it.each([
    ["is locked", (directory: Directory) => directory.people.lock(BY_DIRECTORY, "maria")],
    [
      "gets another password",
      (directory: Directory) => directory.people.setPassword(BY_DIRECTORY, "maria", "new horse"),
    ],
  ])("who %s while the password is being checked is not in at the end of it", async (_what, change) => {
    const { directory, present } = await withPeople();
    const given = { user: "maria", password: "correct horse", address: HERE };
    const tries = await Promise.allSettled([
      directory.signIn(given, "test"),
      change(directory),
      directory.signIn(given, "test"),
      present("maria", "correct horse"),
    ]);
    expect(directory.sessions.list()).toEqual([]);
    expect(await present("maria", "correct horse")).toEqual(REFUSED);
    // A session that was begun before is told of, and so is its end.
    const types = (await stagedEvents(directory)).map(({ event }) => event.type);
    const count = (type: string) => types.filter((one) => one === type).length;
    expect(count("session.ended")).toBe(count("session.started"));
    expect(tries[1]?.status).toBe("fulfilled");
  });

  it("cannot choose a password that has the form of a token", async () => {
    const { directory } = await withPeople();
    const password = `rs1_${"A".repeat(43)}`;
    const add = directory.people.add(BY_DIRECTORY, { name: "joao", profile: "operator", password });
    await expect(add).rejects.toMatchObject({ code: "weak_password" });
  });
});

describe("the lock-out", () => {
  it("begins at the fifth failure, for that user from that address, and ends by itself", async () => {
    const { present, clock } = await withPeople();
    for (let count = 0; count < 5; count += 1) expect(await present("maria", "guess")).toEqual(REFUSED);
    expect(await present("maria", "correct horse")).toEqual({ refused: "locked_out" });
    expect(await present("maria", "correct horse", "127.0.0.2")).toMatchObject({ principal: { name: "maria" } });
    clock.now += 1000;
    expect(await present("maria", "correct horse")).toMatchObject({ principal: { name: "maria" } });
    expect(await present("maria", "guess")).toEqual(REFUSED);
  });

  it("says the same of a name that nobody has", async () => {
    const { present } = await withPeople();
    for (let count = 0; count < 5; count += 1) expect(await present("nobody", "guess")).toEqual(REFUSED);
    expect(await present("nobody", "guess")).toEqual({ refused: "locked_out" });
  });

  it("does not come from tokens, which nobody guesses", async () => {
    const { present } = await withPeople();
    for (let count = 0; count < 9; count += 1) expect(await present("maria", `rs1_${"A".repeat(43)}`)).toEqual(REFUSED);
    expect(await present("maria", "correct horse")).toMatchObject({ principal: { name: "maria" } });
  });

  it("is not needed against a flood: what does not fit the queue is turned away", async () => {
    const { present } = await withPeople();
    const verdicts = await Promise.all(Array.from({ length: 40 }, (_, index) => present(`guest-${index}`, "guess")));
    expect(verdicts.filter((verdict) => "refused" in verdict && verdict.refused === "busy")).toHaveLength(
      40 - hashesAtOnce(availableParallelism()) - 16,
    );
    expect([1, 2, 4, 64].map(hashesAtOnce)).toEqual([1, 1, 2, 2]);
    expect(await present("maria", "correct horse")).toMatchObject({ principal: { name: "maria" } });
  });
});

describe.each(["machine", "service"] as const)("a %s with a key", (kind) => {
  it("is known by a token that it signed for this plant", async () => {
    const test = await withKey(kind);
    expect(await test.present(test.name, token(test, test.name, test.key))).toMatchObject({
      principal: { profile: kind },
    });
  });

  it.each([
    [
      "for another plant",
      (test: TestDirectory, name: string, key: KeyPair) => token(test, name, key, { aud: "plant-2" }),
    ],
    ["for another name", (test: TestDirectory, _name: string, key: KeyPair) => token(test, "ipc-09", key)],
    ["with another key", (test: TestDirectory, name: string) => token(test, name, createKey())],
    [
      "an hour ago",
      (test: TestDirectory, name: string, key: KeyPair) => token(test, name, key, { at: test.clock.now - 3_600_000 }),
    ],
    ["of nothing", () => "a.b"],
  ])("is not known by a token %s", async (_what, make) => {
    const test = await withKey(kind);
    expect(await test.present(test.name, make(test, test.name, test.key))).toEqual(REFUSED);
  });

  it("is no longer known by a key that was replaced", async () => {
    const test = await withKey(kind);
    const next = createKey();
    await test.directory.devices.replaceKey(BY_DIRECTORY, test.name, next.publicRaw.toString("base64"));
    expect(await test.present(test.name, token(test, test.name, test.key))).toEqual(REFUSED);
    expect(await test.present(test.name, token(test, test.name, next))).toMatchObject({
      principal: { name: test.name },
    });
  });
});

describe("a machine with a secret", () => {
  it("is known by it, and by no other", async () => {
    const { directory, present } = await withPeople();
    const { secret } = await directory.devices.addMachine(BY_DIRECTORY, {
      id: "plc-1",
      publicKey: null,
      speaksFor: ["press-1"],
    });
    expect(await present("plc-1", secret ?? "")).toMatchObject({
      principal: { credential: "secret", speaksFor: ["plc-1", "press-1"] },
    });
    expect(await present("plc-1", "")).toEqual(REFUSED);
    expect(await present("plc-1", `${secret}x`)).toEqual(REFUSED);
  });
});

describe("the local administrator", () => {
  it("signs in with the key in the file and is then known by the session, from loopback only", async () => {
    const { directory, present } = await withPeople();
    const { token: given, profile } = await directory.signInLocal(LOCAL_KEY, "rastro");
    expect(profile).toBe("administrator");
    expect(await present(LOCAL_ADMIN, given)).toMatchObject({ principal: { name: LOCAL_ADMIN } });
    expect(await present(LOCAL_ADMIN, given, "::1")).toMatchObject({ principal: { name: LOCAL_ADMIN } });
    expect(await present(LOCAL_ADMIN, given, "192.168.1.20")).toEqual(REFUSED);
  });

  it("is not known by the key itself, whose every use must be a session in the book", async () => {
    const { directory, present } = await withPeople();
    expect(await present(LOCAL_ADMIN, LOCAL_KEY)).toEqual(REFUSED);
    await expect(directory.signInLocal("another key", "rastro")).rejects.toMatchObject({ code: "bad_credentials" });
  });
});
