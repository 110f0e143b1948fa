import { randomBytes } from "node:crypto";
import { appendFile, cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { type Directory, openDirectory } from "../../../broker/directory/directory.ts";
import { openErasures } from "../../../broker/directory/erasures.ts";
import { unseal } from "../../../lib/storage/people/sealing.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { filesWith } from "../../support/bytes-in.ts";
import { CHEAP, LOCAL_KEY, PLANT, stagedEvents } from "../../support/directory.ts";
import { SILENT } from "../../support/silent.ts";

const NOW = Date.parse("2026-11-24T08:00:00.000Z");
const MARIA = {
  name: "maria-k",
  profile: "operator",
  password: "correct horse",
  fullName: "Maria K",
  badge: "B-9",
} as const;
const ANA = { name: "ana", profile: "administrator", password: "correct horse" } as const;
const WHY = { ground: "SUBJECT_REQUEST", text: "letter of 3 November" } as const;

describe("an erased person", () => {
  let folder: string;
  let directory: Directory;
  let ana: { sub: string; auth: "session" };
  let sub: string;
  let close: () => Promise<void>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-erase-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await open();
    await directory.people.add(BY_DIRECTORY, ANA);
    await directory.people.add(BY_DIRECTORY, MARIA);
    ana = { sub: directory.register.principal("ana")?.sub ?? "", auth: "session" };
    sub = directory.register.principal(MARIA.name)?.sub ?? "";
  });

  async function open() {
    const store = await Store.openFolder(join(folder, "directory"));
    const keyStore = await Store.openFolder(join(folder, "people-keys"));
    let closed = false;
    close = async () => {
      if (closed) return;
      closed = true;
      await store.close();
      await keyStore.close();
    };
    onTestFinished(close);
    directory = await openDirectory({
      store,
      keyStore,
      erasures: await openErasures(join(folder, "erasures.jsonl")),
      plant: PLANT,
      tz: "America/Sao_Paulo",
      localKey: LOCAL_KEY,
      sign: () => "",
      log: SILENT,
      now: () => NOW,
      random: randomBytes,
      passwordCost: CHEAP,
    });
  }
  const keyOf = async (whose: string) => Buffer.from((await directory.people.key(whose)).key, "base64");
  const told = async () => (await stagedEvents(directory)).map(({ event }) => event);
  const erasedEvents = async () => (await told()).filter(({ type }) => type === "person.erased");
  const isGone = async (key: Buffer) => {
    expect(directory.register.principal(MARIA.name)).toBeUndefined();
    await expect(directory.people.key(sub)).rejects.toMatchObject({ code: "unknown_name" });
    for (const bytes of [key, MARIA.name]) expect(await filesWith(folder, bytes)).toEqual([]);
  };

  it("is in no file any more: neither key nor name; the random id stays", async () => {
    const key = await keyOf(sub);
    expect(await filesWith(folder, key)).not.toEqual([]);
    expect(await filesWith(folder, MARIA.name)).not.toEqual([]);
    await directory.erase(ana, MARIA.name, WHY);
    await isGone(key);
    expect(directory.register.principal(sub)).toMatchObject({ kind: "person", name: sub, sub, active: false });
    expect((await directory.people.list()).map(({ name }) => name)).toEqual(["ana"]);
    await close();
    await open();
    await isGone(key);
    expect(directory.register.principal(sub)).toMatchObject({ name: sub, active: false });
  });

  it("cannot sign in, and whoever takes the name is somebody else", async () => {
    const session = await directory.signIn(
      { user: MARIA.name, password: MARIA.password, address: "127.0.0.1" },
      "test",
    );
    await directory.erase(ana, sub, WHY);
    expect(directory.sessions.find(session.token)).toBeUndefined();
    const given = { password: MARIA.password, address: "127.0.0.1" };
    for (const user of [MARIA.name, sub]) {
      await expect(directory.signIn({ user, ...given }, "test")).rejects.toMatchObject({ code: "bad_credentials" });
      expect(await directory.credentials.authenticate({ user, ...given })).toEqual({ refused: "bad_credentials" });
    }
    const certified = (issuedAt: number) =>
      directory.credentials.certified({ user: MARIA.name, issuedAt, address: "127.0.0.1" });
    expect(certified(NOW)).toEqual({ refused: "bad_credentials" });
    await directory.people.add(BY_DIRECTORY, MARIA);
    expect(directory.register.principal(MARIA.name)?.sub).not.toBe(sub);
    // A certificate of the name from before is not the new one's.
    expect(certified(NOW - 2000)).toEqual({ refused: "bad_credentials" });
    expect(certified(NOW)).toMatchObject({ principal: { name: MARIA.name } });
    await expect(directory.people.add(BY_DIRECTORY, { ...MARIA, name: `p-${"0".repeat(32)}` })).rejects.toMatchObject({
      code: "name_taken",
    });
  });

  it("is told of with ground, eraser and reason, which the eraser's key opens", async () => {
    await directory.signIn({ user: MARIA.name, password: MARIA.password, address: "127.0.0.1" }, "test");
    const { id } = await directory.erase(ana, MARIA.name, WHY);
    const [event] = await erasedEvents();
    expect(event).toMatchObject({
      id,
      actor: ana,
      obj: { kind: "person", key: sub },
      reason: { code: "SUBJECT_REQUEST", text: { key: ana.sub } },
      payload: { erasure: id },
    });
    const sealed = event?.reason?.text;
    expect(sealed && unseal(await keyOf(ana.sub), sealed, `${id}/reason`)).toBe(WHY.text);
    expect((await told()).filter(({ type }) => type === "session.ended")).toMatchObject([
      { payload: { why: "erased", whose: sub } },
    ]);
  });

  it("is not erased where nobody could administer the plant after it, twice, or where there is nobody", async () => {
    await expect(directory.erase(ana, "ana", WHY)).rejects.toMatchObject({ code: "last_administrator" });
    await directory.people.add(BY_DIRECTORY, { ...ANA, name: "rui" });
    await directory.people.lock(BY_DIRECTORY, "rui");
    await expect(directory.erase(ana, "ana", WHY)).rejects.toMatchObject({ code: "last_administrator" });
    await expect(directory.erase(ana, "nobody", WHY)).rejects.toMatchObject({ code: "unknown_name" });
    await directory.erase(ana, MARIA.name, WHY);
    await expect(directory.erase(ana, sub, WHY)).rejects.toMatchObject({ code: "already_erased" });
    await directory.people.unlock(BY_DIRECTORY, "rui");
    await directory.erase({ sub: "local-admin", auth: "local" }, "ana", WHY);
    expect(await erasedEvents()).toHaveLength(2);
  });

  describe.each([
    ["keys", ["people-keys"]],
    ["directory", ["directory"]],
    ["both", ["people-keys", "directory"]],
  ])("that came back with a backup of the %s", (_name, restored) => {
    it("is erased again before anybody is served, and the book is told", async () => {
      const key = await keyOf(sub);
      await close();
      for (const store of restored) await cp(join(folder, store), join(folder, "kept", store), { recursive: true });
      await open();
      const { id } = await directory.erase(ana, MARIA.name, WHY);
      await close();
      for (const store of restored) {
        await rm(join(folder, store), { recursive: true });
        await cp(join(folder, "kept", store), join(folder, store), { recursive: true });
      }
      await rm(join(folder, "kept"), { recursive: true });

      await open();
      await isGone(key);
      // With the directory its outbox came back, in which the first telling was not yet.
      expect(await erasedEvents()).toMatchObject([
        restored.includes("directory")
          ? { actor: BY_DIRECTORY, obj: { key: sub }, payload: { erasure: id, again: true }, reason: { text: null } }
          : { id, actor: ana },
      ]);
    });
  });

  it.each([
    ["before anything was destroyed", 1],
    ["after the key was destroyed", 2],
  ])("whose erasure a crash has cut short %s is erased at the next start", async (_when, steps) => {
    const key = await keyOf(sub);
    await close();
    const erasure = { v: 1, id: "0193f3a0-0000-7000-8000-000000000001", sub, at: "2026-11-24T08:00:00.000Z" };
    await appendFile(
      join(folder, "erasures.jsonl"),
      `${JSON.stringify({ ...erasure, ground: "PURPOSE_ENDED", by: ana.sub })}\n`,
    );
    if (steps > 1) {
      const keyStore = await Store.openFolder(join(folder, "people-keys"));
      await keyStore.write((tx) => tx.del(Buffer.from(`s/k/${sub}`)));
      await keyStore.close();
    }
    await open();
    await isGone(key);
    expect(directory.erasuresCutShort()).toBe(1);
    await directory.finishErasures();
    await close();
    await open();
    expect(directory.erasuresCutShort()).toBe(0);
    expect(await erasedEvents()).toHaveLength(1);
  });

  it("waits for whoever keeps something under the name, and is finished then", async () => {
    const seen: unknown[] = [];
    directory.onErased(async (erased) => {
      seen.push(erased, directory.register.principal(MARIA.name), directory.erasuresCutShort());
    });
    await directory.erase(ana, MARIA.name, WHY);
    expect(seen).toEqual([{ name: MARIA.name, sub }, undefined, 1]);
    expect(directory.erasuresCutShort()).toBe(0);
  });
});

describe("the list of erasures", () => {
  const erasure = {
    v: 1 as const,
    id: "0193f3a0-0000-7000-8000-000000000001",
    sub: `p-${"1".repeat(32)}`,
    at: "2026-11-24T08:00:00.000Z",
    ground: "PERIOD_ENDED" as const,
    by: "local-admin",
  };
  let file: string;
  beforeEach(async () => {
    const folder = await mkdtemp(join(tmpdir(), "rastro-erasures-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    file = join(folder, "erasures.jsonl");
  });

  it("is read again as it was written, and tells what is unfinished", async () => {
    const list = await openErasures(file);
    expect(list.all()).toEqual([]);
    await list.add(erasure);
    await list.add(erasure);
    await list.add({ ...erasure, id: "0193f3a0-0000-7000-8000-000000000002" });
    await list.finish(erasure.id);
    const again = await openErasures(file);
    expect(again.all().map(({ id }) => id.at(-1))).toEqual(["1", "2"]);
    expect(again.unfinished().map(({ id }) => id.at(-1))).toEqual(["2"]);
    expect((await readFile(file, "utf8")).split("\n")).toHaveLength(4);
  });

  it("goes on behind a line that a crash has cut short, and refuses another that is none of its own", async () => {
    await (await openErasures(file)).add(erasure);
    await appendFile(file, '{"v":1,"id":"0193');
    const list = await openErasures(file);
    await list.finish(erasure.id);
    expect((await openErasures(file)).unfinished()).toEqual([]);
    await appendFile(file, "nonsense\n");
    await expect(openErasures(file)).rejects.toMatchObject({ code: "store_unusable", message: /line 3/ });
  });
});
