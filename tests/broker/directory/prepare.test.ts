import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { prepare } from "../../../broker/directory/prepare.ts";
import { openDirectoryOf } from "../../../broker/directory/stores.ts";
import { HUB_SERVICES } from "../../../lib/contracts/directory.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { loadOrCreateKey, readPublicKey } from "../../../lib/runtime/keys.ts";
import { readPlant } from "../../../lib/runtime/plant.ts";
import { stagedEvents } from "../../support/directory.ts";
import { SILENT } from "../../support/silent.ts";

async function freshFolder() {
  const data = await mkdtemp(join(tmpdir(), "rastro-prepare-"));
  onTestFinished(() => rm(data, { recursive: true }));
  const run = (adminPassword: string | null = null) =>
    prepare({
      settings: { data, tz: "UTC", machine: "ipc-07", adminPassword },
      log: SILENT,
      now: Date.now,
      random: randomBytes,
    });
  const open = async () => {
    const plant = await readPlant(data);
    const base = { folders: foldersOf(data), plant, tz: "UTC", log: SILENT, now: Date.now, random: randomBytes };
    const opened = await openDirectoryOf(base);
    onTestFinished(() => opened.close());
    return opened;
  };
  return { data, folders: foldersOf(data), run, open };
}

describe("the first start", () => {
  it("makes plant, keys, services, this machine's agent and a one-time code", async () => {
    const { data, folders, run, open } = await freshFolder();
    const prepared = await run();
    expect(prepared).toMatchObject({ plant: (await readPlant(data)).id, machine: "ipc-07", adminCreated: false });
    expect(prepared.setupCode).toMatch(/^([2-9a-hj-km-np-z]{5}-){3}[2-9a-hj-km-np-z]{5}$/);
    for (const file of [
      folders.localAdmin,
      folders.directoryKey,
      folders.agentKey("ipc-07"),
      folders.fleetCommandKey,
      folders.serviceKey("audit"),
    ]) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
    expect(await readPublicKey(folders.directoryPublicKey)).toEqual(
      (await loadOrCreateKey(folders.directoryKey)).publicRaw,
    );

    const { directory } = await open();
    for (const name of HUB_SERVICES) {
      const { publicRaw } = await loadOrCreateKey(folders.serviceKey(name));
      expect(directory.register.principal(name)).toMatchObject({
        kind: "service",
        publicKey: publicRaw.toString("base64"),
      });
    }
    const agent = await loadOrCreateKey(folders.agentKey("ipc-07"));
    const expected = { kind: "machine", publicKey: agent.publicRaw.toString("base64"), speaksFor: ["ipc-07"] };
    expect(directory.register.principal("ipc-07")).toMatchObject(expected);
    const types = (await stagedEvents(directory)).map(({ event }) => event.type);
    expect(types).toEqual([...HUB_SERVICES.map(() => "service.added"), "machine.added"]);
    const local = await directory.signInLocal(await readFile(folders.localAdmin, "utf8"), "rastro");
    expect(local).toMatchObject({ profile: "administrator" });
  });

  it("makes the administrator when the environment has the password", async () => {
    const { run, open } = await freshFolder();
    expect(await run("a-good-password")).toMatchObject({ setupCode: null, adminCreated: true });
    const { directory } = await open();
    const session = directory.signIn({ user: "admin", password: "a-good-password", address: "127.0.0.1" }, "rastro");
    expect(await session).toMatchObject({ profile: "administrator" });
  });
});

describe("the fleet's command key", () => {
  it("is its own, and its public part is pinned for this machine's agent and laid out for others", async () => {
    const { folders, run } = await freshFolder();
    await run();
    const { publicRaw } = await loadOrCreateKey(folders.fleetCommandKey);
    expect(await readPublicKey(folders.agentPinnedFleetKey("ipc-07"))).toEqual(publicRaw);
    expect(await readPublicKey(folders.fleetCommandPublicKey)).toEqual(publicRaw);
    expect((await loadOrCreateKey(folders.serviceKey("fleet"))).publicRaw).not.toEqual(publicRaw);
  });

  it("stays over later starts, and a pin that was lost or damaged is put right", async () => {
    const { folders, run } = await freshFolder();
    await run();
    const { publicRaw } = await loadOrCreateKey(folders.fleetCommandKey);
    await run();
    expect((await loadOrCreateKey(folders.fleetCommandKey)).publicRaw).toEqual(publicRaw);
    await writeFile(folders.agentPinnedFleetKey("ipc-07"), "half a ke");
    await run();
    expect(await readPublicKey(folders.agentPinnedFleetKey("ipc-07"))).toEqual(publicRaw);
  });
});

describe("a later start", () => {
  it("changes nothing but the code of a plant that has no administrator yet", async () => {
    const { run, open } = await freshFolder();
    const first = await run();
    const second = await run();
    expect(second).toEqual({ ...first, setupCode: second.setupCode });
    expect(second.setupCode).not.toBe(first.setupCode);
    const { directory } = await open();
    expect(await stagedEvents(directory)).toHaveLength(HUB_SERVICES.length + 1);
    await expect(directory.setup(first.setupCode ?? "", "admin", "a-good-password")).rejects.toMatchObject({
      code: "bad_credentials",
    });
    expect(await directory.setup(second.setupCode ?? "", "admin", "a-good-password")).toMatchObject({ name: "admin" });
  });

  it("leaves an administrator's password alone", async () => {
    const { run, open } = await freshFolder();
    await run("a-good-password");
    expect(await run("another-password")).toMatchObject({ setupCode: null, adminCreated: false });
    const { directory } = await open();
    const session = directory.signIn({ user: "admin", password: "another-password", address: "127.0.0.1" }, "rastro");
    await expect(session).rejects.toMatchObject({ code: "bad_credentials" });
  });

  it("registers this machine's new key when its folder was removed", async () => {
    const { folders, run, open } = await freshFolder();
    await run();
    await rm(folders.agent("ipc-07"), { recursive: true });
    await run();
    const { publicRaw } = await loadOrCreateKey(folders.agentKey("ipc-07"));
    const { directory } = await open();
    expect(directory.register.principal("ipc-07")).toMatchObject({ publicKey: publicRaw.toString("base64") });
    expect((await stagedEvents(directory)).at(-1)?.event).toMatchObject({
      type: "machine.added",
      payload: { replaced: true },
    });
  });

  it("says that the stack of this folder runs already", async () => {
    const { run, open } = await freshFolder();
    await run();
    await open();
    await expect(run()).rejects.toMatchObject({ code: "store_locked" });
  });
});
