import { randomBytes } from "node:crypto";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import { StandbyState } from "../../../lib/contracts/standby.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { cosignersOf, parseCheckpoint, signedBy } from "../../../lib/ledger/checkpoint.ts";
import { SIGNATURE_TYPES, verifierKey } from "../../../lib/ledger/signed-note.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import { keysOf } from "../../../lib/messaging/principals.ts";
import { type Handlers, serve } from "../../../lib/messaging/request-server.ts";
import { after } from "../../../lib/messaging/timing.ts";
import { bookQueries } from "../../../lib/storage/book/book-queries.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { quarantineQueries } from "../../../lib/storage/quarantine/quarantine-queries.ts";
import { type Standby, startStandby } from "../../../services/standby/start-standby.ts";
import { rowsOf } from "../../support/book-rows.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { type LogToFollow, logToFollow } from "../../support/log-to-follow.ts";
import { SILENT } from "../../support/silent.ts";
import { watch } from "../../support/until.ts";
import { joinAsPerson, joinAsService } from "../join-hub.ts";

describe("a standby on a hub", () => {
  let hub: TestHub;
  let self: Keyed;
  let logs: Record<BookName, LogToFollow>;
  let publishers: Record<BookName, Link>;
  let standby: Standby;
  let stores: Record<BookName, Store>;
  let link: Link;

  beforeEach(async () => {
    hub = await startTestHub();
    logs = { production: await logToFollow("production"), audit: await logToFollow("audit") };
    publishers = { production: await serveBook("production"), audit: await serveBook("audit") };
    self = await hub.addService("standby");
    stores = { production: await Store.inMemory(), audit: await Store.inMemory() };
    await start();
  });

  afterEach(async () => {
    await standby.close();
    await hub.close();
  });

  async function start() {
    link = await hub.link(self.name, self.password);
    standby = startStandby({
      link,
      plant: hub.plant,
      stores,
      logKeys: { production: [logs.production.vkey], audit: [logs.audit.vkey] },
      policy: null,
      privateKey: self.key.privateKey,
      newId: v7,
      now: Date.now,
      after,
      random: randomBytes,
      log: SILENT,
    });
  }

  /** A book's service, as far as a standby has to do with it. */
  async function serveBook(name: BookName): Promise<Link> {
    const service = await joinAsService(hub, await hub.addService(name), logs[name].store);
    await service.principals.whenLoaded();
    const { book, store } = logs[name];
    const handlers = {
      ...bookQueries(book, { keyOf: keysOf(service.principals) }),
      ...quarantineQueries({ store, book }),
    } as unknown as Handlers<"audit">;
    const onRefused = () => undefined;
    const { principals } = service;
    await serve({
      link: service.link,
      service: name as "audit",
      principals,
      handlers,
      onRefused,
      now: Date.now,
      log: SILENT,
    });
    return service.link;
  }

  const publish = (name: BookName) =>
    publishers[name].publish(topics.checkpoint(name), logs[name].checkpoint(), { qos: 1, retain: true });

  const proven = (name: BookName, size: number) =>
    new Promise<void>((resolve) => {
      const look = () => standby.followers[name].standing().proven?.head.size === size && resolve();
      standby.followers[name].onChange(look);
      look();
    });

  it("copies both books, in answers that fit, and tells what it has in a note of its own", async () => {
    await logs.production.grow(700);
    await logs.audit.grow(3);
    const person = await joinAsPerson(hub, "local-admin");
    const told = watch<StandbyState[]>([]);
    await person.link.subscribe(topics.standbyBook("production"), (_topic, payload) => {
      told.value.push(StandbyState.parse(JSON.parse(payload.toString())));
      told.changed();
    });
    await Promise.all([publish("production"), publish("audit")]);
    await Promise.all([proven("production", 700), proven("audit", 3)]);

    await told.until((states) => states.at(-1)?.proven?.size === 700);
    const state = told.value.at(-1) as StandbyState;
    expect(state).toMatchObject({ state: "following", held: 700, behind: { records: 0, ms: 0 }, message: null });
    const note = parseCheckpoint(state.note ?? "");
    expect(note.head).toMatchObject({ size: 700, root: Buffer.from(logs.production.book.head().root, "hex") });
    expect(signedBy(note, [logs.production.vkey])).toHaveLength(1);
    const own = verifierKey(`${hub.plant}/standby`, SIGNATURE_TYPES.cosignature, self.key.publicRaw);
    expect(cosignersOf(note, [own])).toHaveLength(1);
    expect(Object.values(standby.checks).map((check) => check())).toEqual([true, true, true]);
  });

  it("copies what was set apart too, however large", async () => {
    await logs.audit.grow(3);
    await logs.audit.setApart("junk");
    await logs.production.setApart({ large: "ü".repeat(100_000) });
    await Promise.all([publish("production"), publish("audit")]);
    for (const name of ["production", "audit"] as const) {
      await vi.waitFor(async () => expect(await rowsOf(stores[name], "q")).toHaveLength(1), 10_000);
      expect(await rowsOf(stores[name], "q")).toEqual(await rowsOf(logs[name].store, "q"));
    }
  });

  it("goes on where it was when it comes back", async () => {
    await logs.audit.grow(100);
    await publish("audit");
    await proven("audit", 100);
    await standby.close();
    await link.close();
    await logs.audit.grow(50);
    await publish("audit");
    await start();
    await proven("audit", 150);
    expect(standby.followers.audit.standing().counts.records).toBe(50);
  });

  it("is cut off at once when it is revoked, and goes on when it is let in again", async () => {
    await logs.audit.grow(5);
    await publish("audit");
    await proven("audit", 5);
    const gone = new Promise<void>((resolve) => link.onDown(resolve));
    await hub.directory.devices.revokeService(BY_DIRECTORY, "standby");
    await gone;
    await logs.audit.grow(5);
    await publish("audit");
    expect(standby.checks["hub"]?.()).toBe("not connected to the hub");
    await hub.directory.devices.admitService(BY_DIRECTORY, "standby", self.key.publicRaw.toString("base64"));
    await proven("audit", 10);
  });

  it("asks for nothing but records and what was set apart, and reads nothing but checkpoints", async () => {
    for (const filter of ["#", "machines/+/status", "requests/#", "directory/principals/+"]) {
      await expect(link.subscribe(filter, () => undefined)).rejects.toMatchObject({ code: "not_allowed" });
    }
    const spy = await joinAsPerson(hub, "local-admin");
    const heard = watch<string[]>([]);
    await spy.link.subscribe("books/+/checkpoint", (topic) => {
      heard.value.push(topic);
      heard.changed();
    });
    await link
      .publish(topics.checkpoint("audit"), "a note of its own", { qos: 1, retain: true })
      .catch(() => undefined);
    await link
      .publish(topics.request("standby", "s-1", "audit", "audit-tail", "r-1"), "{}", { qos: 1 })
      .catch(() => undefined);
    await publish("production");
    await heard.until((topics) => topics.length > 0);
    expect(heard.value).toEqual(["books/production/checkpoint"]);
  });

  it("leaves records to those whom their table names", async () => {
    await hub.addPerson("olga", "operator");
    const operator = await joinAsPerson(hub, "olga");
    await expect(operator.call("audit", "book-range", { from: 0 })).rejects.toMatchObject({ code: "not_allowed" });
  });
});
