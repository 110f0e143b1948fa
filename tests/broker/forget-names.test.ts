import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { forgetErasedNames } from "../../broker/forget-names.ts";
import { openPersistence } from "../../broker/persistence/persistence.ts";
import type { Principal } from "../../lib/contracts/directory.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { followPrincipals } from "../../lib/messaging/principals.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { filesWith } from "../support/bytes-in.ts";
import { startTestHub } from "../support/hub.ts";
import { principal } from "../support/principals.ts";
import { SILENT } from "../support/silent.ts";

const NAME = "wilhelmina-q";

/* What the hub keeps under the name of somebody who was erased. */

describe("the hub's own store", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-forget-"));
    onTestFinished(() => rm(folder, { recursive: true }));
  });

  it("has nothing of an erased person's name left: session, queue and what was said of it", async () => {
    const store = await Store.openFolder(folder);
    const persistence = await openPersistence({ store });
    const hub = await startTestHub({ persistence });
    onTestFinished(async () => {
      await hub.close();
      await persistence.close();
      await store.close();
    });
    hub.directory.onErased(await forgetErasedNames({ directory: hub.directory, persistence, store }));
    const { sub } = await hub.addPerson(NAME, "operator");
    const audit = await hub.addService("audit");
    const link = await hub.link("audit", audit.password);
    const principals = followPrincipals({ link, directoryKey: hub.directoryKey, log: SILENT });
    await principals.whenLoaded();
    const client = await mqtt.connectAsync(hub.url, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      username: NAME,
      password: `${NAME}-password`,
      clientId: "screen",
      clean: false,
    });
    await client.subscribeAsync(`responses/${NAME}/#`, { qos: 1 });
    await client.endAsync();
    await link.publish(topics.response(NAME, "s-1", "r-1"), "for her alone", { qos: 1 });
    await persistence.flush();
    expect(await filesWith(folder, NAME)).not.toEqual([]);

    await hub.directory.erase({ sub: "local-admin", auth: "local" }, NAME, {
      ground: "SUBJECT_REQUEST",
      text: "she asked",
    });
    expect(await filesWith(folder, NAME)).toEqual([]);
    expect([...persistence.clientIds()]).toEqual([]);
    await expect.poll(() => principals.byName(NAME)).toBeUndefined();
    await expect.poll(() => principals.bySub(sub)?.name).toBe(sub);
    await persistence.flush();
    expect(await filesWith(folder, NAME)).toEqual([]);
  });

  it("is cleared at the start of what an erasure that was cut short has left, and of nothing else", async () => {
    const store = await Store.openFolder(folder);
    const persistence = await openPersistence({ store });
    onTestFinished(async () => {
      await persistence.close();
      await store.close();
    });
    const known = principal("rui", "operator");
    for (const name of [NAME, "rui"]) {
      await persistence.addSubscriptions({ id: `${name}:screen` }, [{ topic: `responses/${name}/#`, qos: 1 }] as never);
      await persistence.storeRetained({ topic: topics.principal(name), payload: "{}", qos: 1, retain: true } as never);
    }
    await persistence.flush();
    let finished = 0;
    const register = { principal: (name: string): Principal | undefined => (name === "rui" ? known : undefined) };
    await forgetErasedNames({
      directory: {
        register: register as never,
        erasuresCutShort: () => 1 - finished,
        finishErasures: async () => void (finished += 1),
      },
      persistence,
      store,
    });
    expect(finished).toBe(1);
    expect([...persistence.clientIds()]).toEqual(["rui:screen"]);
    expect(persistence.retained()).toBe(1);
    expect(await filesWith(folder, NAME)).toEqual([]);
    expect(await filesWith(folder, "rui")).not.toEqual([]);
  });
});
