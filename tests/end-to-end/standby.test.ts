import { randomBytes } from "node:crypto";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 as newId } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Receipt } from "../../lib/contracts/events.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { PromotionMark, StandbyState } from "../../lib/contracts/standby.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { leafHash } from "../../lib/ledger/hash.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { keys } from "../../lib/storage/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { rastro } from "../support/cli.ts";
import { forged } from "../support/log-to-follow.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { SILENT } from "../support/silent.ts";
import { Supervised } from "../support/supervised.ts";
import { tileKeyOf, withNode } from "../support/tiles.ts";

const BOOKS: readonly BookName[] = ["production", "audit"];

/* A plant, and a standby with a data folder of its own, as on another computer, over TLS; all of them real processes. */
describe("a standby of a real plant", { timeout: 120_000 }, () => {
  let plant: Plant;
  let away: string;
  let environment: NodeJS.ProcessEnv;
  let standby: Supervised;
  const receipts = new Map<string, Receipt>();

  beforeEach(async () => {
    receipts.clear();
    plant = await startPlant();
    away = await mkdtemp(join(tmpdir(), "rastro-standby-"));
    environment = { PATH: process.env["PATH"], RASTRO_DATA: away, RASTRO_TZ: "America/Sao_Paulo" };
    await join_();
    standby = newStandby();
    await standby.start();
  }, 60_000);

  afterEach(async () => {
    await standby.stop();
    await plant.stop();
    await plant.remove();
    await rm(away, { recursive: true, force: true });
  });

  const newStandby = () => new Supervised("standby", "services/standby/main.ts", environment);

  /** As docs/standby.md has it. */
  async function join_() {
    const { publicKey } = (await run(environment, ["key"])) as { publicKey: string };
    const url = `mqtts://localhost:${plant.settings.mqttsPort}`;
    const { line } = (await run(plant.environment, ["add", publicKey, "--url", url])) as { line: string };
    await run(environment, ["join", line]);
  }

  async function run(env: NodeJS.ProcessEnv, args: string[]): Promise<unknown> {
    const ran = await rastro(env, ["standby", ...args, "--json"]);
    expect(ran.code, ran.stderr).toBe(0);
    return ran.json();
  }

  /** Entries by a person who asks production, and by a machine through its outbox. */
  async function book(count: number, on: Plant = plant): Promise<void> {
    const { ask, link } = await asPerson(on);
    const ids = Array.from({ length: count }, () => newId());
    const at = new Date().toISOString();
    const byPerson = ids.map(async (id) => {
      const body = { id, at, tz: "America/Sao_Paulo", fields: { machine: "ipc-07", lot: "L-1", good: 1 } };
      const { receipt } = await ask.call("production", "entry-add", body);
      receipts.set(id, receipt);
    });
    const byMachine = await saveAtDoor(on, count);
    await Promise.all(byPerson);
    await link.close();
    for (const [id, receipt] of await receiptsFromDoor(on, byMachine)) receipts.set(id, receipt);
  }

  async function asPerson(on: Plant): Promise<{ link: Link; ask: Requester }> {
    const { user, token, session } = await on.signInLocal();
    const link = openLink({
      url: on.settings.brokerUrl,
      name: user,
      password: () => token,
      log: SILENT,
      random: randomBytes,
    });
    await link.whenConnected();
    return { link, ask: createRequester({ link, user, session, newId, now: Date.now }) };
  }

  async function door(on: Plant, path: string, body: unknown): Promise<unknown> {
    const headers = { authorization: `Bearer ${await on.doorKey()}`, "content-type": "application/json" };
    const answer = await fetch(`${on.urlOf("edge-agent")}${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    return answer.json();
  }

  async function saveAtDoor(on: Plant, count: number): Promise<string[]> {
    const fields = { machine: "ipc-07", lot: "L-2", good: 2 };
    const entries = Array.from({ length: count }, () => ({ id: newId(), at: new Date().toISOString(), fields }));
    await door(on, "/entries", entries);
    return entries.map(({ id }) => id);
  }

  function receiptsFromDoor(on: Plant, ids: string[]): Promise<[string, Receipt][]> {
    const ask = async () => {
      const rows = (await door(on, "/receipts", { ids })) as { id: string; status: unknown }[];
      return rows.map(({ id, status }): [string, Receipt] => [id, Receipt.parse(status)]);
    };
    return vi.waitFor(ask, { timeout: 20_000, interval: 50 });
  }

  /** Asks for something else under an id that is in the book. */
  async function setApart(): Promise<void> {
    const { ask, link } = await asPerson(plant);
    const [id = ""] = receipts.keys();
    const body = { id, at: new Date().toISOString(), tz: "UTC", fields: { machine: "ipc-07", lot: newId(), good: 9 } };
    await expect(ask.call("production", "entry-add", body)).rejects.toMatchObject({ code: "id_conflict" });
    await link.close();
  }

  /** Every event of it, whole. */
  async function whatIsSetApart(on: Plant): Promise<unknown[]> {
    const { ask, link } = await asPerson(on);
    const { rows } = await ask.call("production", "quarantine-list", {});
    const whole = await Promise.all(rows.map(({ seq }) => ask.call("production", "quarantine-show", { seq })));
    await link.close();
    return whole;
  }

  /** Resolves when the standby has proven everything that the books have now. */
  async function covered(): Promise<void> {
    const { ask, link } = await asPerson(plant);
    const states = new Map<BookName, StandbyState>();
    for (const name of BOOKS) {
      await link.subscribe(topics.standbyBook(name), (_topic, payload) => {
        states.set(name, StandbyState.parse(JSON.parse(payload.toString())));
      });
    }
    for (const name of BOOKS) {
      const { size } = await ask.call(name, "book-head", {});
      await vi.waitFor(() => expect(states.get(name)?.proven?.size ?? 0).toBeGreaterThanOrEqual(size), {
        timeout: 30_000,
        interval: 50,
      });
    }
    await link.close();
  }

  async function readiness(): Promise<{ ready: boolean; checks: Record<string, true | string>; alarms: string[] }> {
    const { url } = readRunFile(away, "standby") ?? { url: "" };
    return (await (await fetch(`${url}/readyz`)).json()) as Awaited<ReturnType<typeof readiness>>;
  }

  /** Every receipt's record is there, as it was; and the books verify. */
  async function expectEverything(on: Plant): Promise<void> {
    const { ask, link } = await asPerson(on);
    for (const [id, { seq, leaf }] of receipts) {
      const { record } = await ask.call("production", "book-proof", { id });
      expect({ seq: record.seq, leaf: record.leaf }).toEqual({ seq, leaf });
    }
    for (const name of BOOKS) {
      const report = await ask.call(name, "book-verify", {}, { timeoutMs: 60_000 });
      expect(report, name).toMatchObject({ ok: true, damaged: [] });
    }
    await vi.waitFor(async () => {
      for (const id of receipts.keys()) await ask.call("audit", "book-record", { id });
    }, 20_000);
    await link.close();
  }

  it("follows while entries are booked, is killed, and gives every book back when the hub is lost", async () => {
    for (let round = 0; round < 5; round += 1) {
      await book(20);
      standby.kill();
      await book(20);
      await setApart();
      await standby.ready.catch(() => undefined);
    }
    await vi.waitFor(() => standby.ready, 20_000);
    await covered();
    expect(await vi.waitFor(async () => (await readiness()).checks, 5000)).toEqual({
      process: true,
      hub: true,
      production: true,
      audit: true,
    });
    // A record that is on its way just now is caught up with.
    await vi.waitFor(async () => {
      const states = StandbyState.array().parse(
        (await rastro(plant.environment, ["standby", "status", "--json"])).json(),
      );
      expect(states.map(({ book: name, state, message }) => [name, state, message])).toEqual([
        ["audit", "following", null],
        ["production", "following", null],
      ]);
    }, 20_000);
    const apart = await whatIsSetApart(plant);
    expect(apart).toHaveLength(5);
    await standby.stop();
    // These have receipts, and the standby knows nothing of them: the agent has them sealed.
    const late = await saveAtDoor(plant, 5);
    await receiptsFromDoor(plant, late);
    await plant.stop();

    const marks = PromotionMark.array().parse(
      await run(environment, ["promote", "--reason", "The hub burned", "--yes"]),
    );
    expect(marks.map(({ book: name, act, state, lacking }) => ({ name, act, state, lacking }))).toEqual([
      { name: "audit", act: "promoted", state: "done", lacking: 0 },
      { name: "production", act: "promoted", state: "done", lacking: 0 },
    ]);
    // The agent is on another computer in truth, and keeps what it has.
    await cp(join(plant.folders.data, "agents"), join(away, "agents"), { recursive: true });
    const promoted = await startPlant("ipc-07", away);
    try {
      await expectEverything(promoted);
      expect(await whatIsSetApart(promoted)).toEqual(apart);
      const { ask, link } = await asPerson(promoted);
      for (const id of late) {
        await vi.waitFor(() => ask.call("production", "book-record", { id }), { timeout: 20_000, interval: 100 });
      }
      for (const { event, book: name, size } of marks) {
        const { record } = await ask.call(name, "book-proof", { id: event });
        expect(record.seq).toBeGreaterThanOrEqual(size);
        expect(await readFile(foldersOf(away).promotion(name), "utf8").catch(() => null)).toBeNull();
      }
      await link.close();
      await book(3, promoted);
      await expectEverything(promoted);
    } finally {
      await promoted.stop();
    }
  });

  it("follows a log over a change of its key, and gives one lost book back to a hub that goes on", async () => {
    await book(10);
    await covered();
    const rotate = ["audit", "rotate-key", "--book", "production", "--reason", "the administrator changed"];
    for (const step of [[], ["--retire"]]) {
      const rotated = await rastro(plant.environment, [...rotate, ...step]);
      expect(rotated.code, rotated.stderr).toBe(0);
    }
    await book(1);
    await covered();
    await standby.stop();
    await plant.stop();
    await rm(plant.folders.production, { recursive: true });

    const args = ["restore", "--book", "production", "--from", away, "--reason", "The disk was replaced"];
    const unsure = await rastro(plant.environment, ["standby", ...args]);
    expect(unsure.code).toBe(2);
    const [mark] = PromotionMark.array().parse(await run(plant.environment, [...args, "--yes"]));
    expect(mark).toMatchObject({ act: "restored", book: "production", aside: null });
    plant = await startPlant("ipc-07", plant.folders.data);
    await expectEverything(plant);
    // The plant of a test listens somewhere else at each start.
    environment["RASTRO_BROKER_URL"] = `mqtts://localhost:${plant.settings.mqttsPort}`;
    standby = newStandby();
    await standby.start();
    await book(3);
    await covered();
    expect((await readiness()).alarms, "it is the same book with the same key").toEqual([]);
  });

  it("refuses a forged page, and says so on its topics", async () => {
    await book(5);
    await covered();
    await standby.stop();
    await book(5);
    const { size } = await proven();
    await plant.processes.production.stop();
    await tamper(size + 1);
    const { link } = await asPerson(plant);
    const alarms: unknown[] = [];
    await link.subscribe(topics.alarm("standby", "diverged-production"), (_topic, payload) => {
      if (payload.length > 0) alarms.push(JSON.parse(payload.toString()));
    });
    plant.processes.production = new Supervised("production", "services/production/main.ts", plant.environment);
    await plant.processes.production.start();
    standby = newStandby();
    await standby.start();
    await vi.waitFor(() => expect(alarms).not.toEqual([]), { timeout: 20_000, interval: 50 });
    expect(alarms[0]).toMatchObject({
      alarm: "diverged-production",
      message: expect.stringContaining("continues a record"),
    });
    const { ready, checks } = await readiness();
    expect(ready).toBe(false);
    expect(checks["production"]).toContain("has diverged");
    expect(checks["audit"]).toBe(true);
    await link.close();
    await standby.stop();
    expect(await proven()).toEqual({ size });
    const refused = await rastro(environment, ["standby", "promote", "--reason", "Is it possible?", "--yes", "--json"]);
    expect(refused.json()).toMatchObject({ error: { code: "copy_unproven" } });
  });

  /** How much of production is proven, as a standby that does not run has it. */
  async function proven(): Promise<{ size: number }> {
    const store = await Store.openFolder(foldersOf(away).mirrorStore("production"));
    const state = JSON.parse(store.getNow(Buffer.from("s/mirror"))?.toString() ?? "") as { proven: string };
    await store.close();
    return { size: Number(state.proven.split("\n")[1]) };
  }

  /** A record gets another content, and its leaf with it: the service that has it notices nothing when it is read. */
  async function tamper(seq: number): Promise<void> {
    const store = await Store.openFolder(plant.folders.bookStore("production"));
    const bytes = forged(store.getNow(keys.record(seq)) ?? Buffer.alloc(0));
    await store.write((tx) => {
      tx.put(keys.record(seq), bytes);
      const key = tileKeyOf(0, seq);
      tx.put(key, withNode(tx.get(key) ?? Buffer.alloc(0), 0, seq, leafHash(bytes)));
    });
    await store.close();
  }
});
