import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createDirectoryClient } from "../../../lib/runtime/directory-client.ts";
import { createBackups, type Made } from "../../../lib/storage/backup/backups.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { startTestHub } from "../../support/hub.ts";

async function start() {
  const folder = await temporaryFolder();
  const stores = { store: await Store.inMemory(), keyStore: await Store.inMemory() };
  const told: Made[] = [];
  const about = { origin: null, retention: { count: 30, ageMs: 1e12 } };
  const backups = createBackups({
    stores: {
      directory: { ...about, store: stores.store, folder: join(folder, "directory") },
      "people-keys": { ...about, store: stores.keyStore, folder: join(folder, "people-keys") },
    },
    plant: "plant-test",
    app: "broker@test",
    now: Date.now,
    tell: async (made) => void told.push(made),
    onFault: () => undefined,
  });
  const hub = await startTestHub({ stores, backups });
  onTestFinished(() => hub.close());
  const bearerOf = async (name: string) => ({ name, token: (await hub.signIn(name)).token });
  return { hub, told, client: createDirectoryClient({ url: hub.directoryUrl }), bearerOf };
}

describe("backups of the hub's own stores over HTTP", () => {
  it("are made, listed and verified for an administrator, and told with who asked", async () => {
    const { hub, told, client, bearerOf } = await start();
    const { sub } = await hub.addPerson("ana", "administrator");
    const bearer = await bearerOf("ana");
    const made = await client.backupCreate(bearer, { store: "directory" });
    expect(made).toMatchObject({ ok: true, header: { store: "directory", size: null, root: null, why: "request" } });
    await client.backupCreate(bearer, { store: "people-keys" });
    expect((await client.backupList(bearer)).map(({ store }) => store)).toEqual(["directory", "people-keys"]);
    expect(await client.backupVerify(bearer, { store: "directory", name: made.name })).toMatchObject({ ok: true });
    expect(told.map(({ store, by }) => [store, by])).toEqual([
      ["directory", { sub, auth: "session" }],
      ["people-keys", { sub, auth: "session" }],
    ]);
  });

  it("are for administrators only, and of stores that are there", async () => {
    const { hub, client, bearerOf } = await start();
    await hub.addPerson("ana", "administrator");
    await hub.addPerson("maria", "coordinator");
    const maria = await bearerOf("maria");
    await expect(client.backupList(maria)).rejects.toMatchObject({ code: "not_allowed" });
    await expect(client.backupCreate(maria, { store: "directory" })).rejects.toMatchObject({ code: "not_allowed" });
    const unknown = { store: "directory", name: "20261124T010000000Z.rastro-backup" } as const;
    const ana = await bearerOf("ana");
    await expect(client.backupVerify(ana, unknown)).rejects.toMatchObject({ code: "unknown_backup" });
    await expect(client.backupCreate(ana, { store: "sessions" })).rejects.toMatchObject({ code: "unknown_backup" });
  });
});
