import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 } from "uuid";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventDraft } from "../../../lib/contracts/events.ts";
import { keys } from "../../../lib/storage/keys.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { type Production, startProduction } from "../../../services/production/start-production.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { joinAsMachine, joinAsPerson, joinAsService } from "../join-hub.ts";
import { fields } from "./samples.ts";
import { stagedIn } from "../../support/staged.ts";

/* Production on a real hub, with a real directory and a store in a folder. */

describe("production on a hub", () => {
  let hub: TestHub;
  let service: Keyed;
  let press: Keyed;
  let folder: string;
  let store: Store;
  let parts: Awaited<ReturnType<typeof joinAsService>>;
  let production: Production;

  beforeAll(async () => {
    hub = await startTestHub();
    service = await hub.addService("production");
    press = await hub.addMachine("press-01");
    await hub.addPerson("maria", "supervisor");
    await hub.addPerson("otto", "operator");
    await hub.addPerson("ada", "analyst");
  });
  afterAll(() => hub.close());

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-production-"));
    await begin();
  });
  afterEach(async () => {
    await end();
    await rm(folder, { recursive: true });
  });

  async function begin() {
    store = await Store.openFolder(join(folder, "store"));
    parts = await joinAsService(hub, service, store);
    production = await startProduction({ ...parts, headNote: join(folder, "head.note") });
  }
  async function end() {
    await production.close();
    await parts.link.close();
    await store.close();
  }

  const addition = (given: Parameters<typeof fields>[0] = {}) => ({
    id: v7(),
    at: new Date().toISOString(),
    tz: "America/Sao_Paulo",
    fields: fields(given),
  });
  const draft = (id: string, given: Partial<EventDraft> = {}): EventDraft => ({
    id,
    type: "entry.created",
    at: new Date().toISOString(),
    tz: "America/Sao_Paulo",
    clock: { source: "ntp", offsetMs: 0 },
    actor: { sub: "press-01", auth: "device" },
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields: fields({ good: 8 }) },
    ...given,
  });
  const told = async () => (await stagedIn(store, "audit")).map(({ type, payload }) => ({ kind: type, ...payload }));

  it("takes an entry by request from making to voiding, with its proof", async () => {
    const maria = await joinAsPerson(hub, "maria");
    const entry = addition({ good: 10 });
    const { receipt } = await maria.call("production", "entry-add", entry);
    expect(receipt).toMatchObject({ id: entry.id, status: "booked", book: "production", seq: 0 });
    expect(await maria.call("production", "entry-add", entry)).toEqual({ id: entry.id, receipt });

    const reason = { code: "COUNT_FIX" as const, text: "counted again with Rui" };
    const change = { id: entry.id, event: v7(), rev: 1, fields: fields({ good: 12 }), reason };
    expect(await maria.call("production", "entry-correct", change)).toMatchObject({ rev: 2 });
    await expect(maria.call("production", "entry-correct", { ...change, event: v7() })).rejects.toMatchObject({
      code: "version_conflict",
      problem: { expected: "2" },
    });
    await maria.call("production", "entry-void", { id: entry.id, event: v7(), rev: 2, reason });

    const shown = await maria.call("production", "entry-show", { id: entry.id });
    expect(shown.versions.map((one) => [one.rev, one.who, one.reason?.text])).toEqual([
      [1, "maria", undefined],
      [2, "maria", "counted again with Rui"],
      [3, "maria", "counted again with Rui"],
    ]);
    const proof = await maria.call("production", "book-proof", { id: entry.id });
    expect(proof.record).toMatchObject({ seq: 0, leaf: receipt.leaf });
    expect(Buffer.from(proof.record.bytes, "base64").toString()).not.toContain("maria");
  });

  it("lets the holder of the hub's local key justify a change as anybody else", async () => {
    const local = await joinAsPerson(hub, "local-admin");
    const entry = addition();
    await local.call("production", "entry-add", entry);
    const reason = { code: "TEST_ENTRY" as const, text: "made to try the command line" };
    await local.call("production", "entry-void", { id: entry.id, event: v7(), rev: 1, reason });
    const { versions } = await local.call("production", "entry-show", { id: entry.id });
    expect(versions[1]).toMatchObject({ actor: "local-admin", reason: { text: reason.text } });
  });

  it("books, refuses and sets apart what machines send, and gives a receipt for each", async () => {
    const machine = await joinAsMachine(hub, press, "production");
    const [good, refused] = [v7(), v7()];
    await machine.stage(draft(good));
    await machine.stage(draft(refused, { payload: { fields: fields({ machine: "press-77" }) } }));
    await vi.waitFor(async () => expect(await machine.outbox.receiptOf(refused)).not.toBe("waiting"));
    expect(await machine.outbox.receiptOf(good)).toMatchObject({
      status: "booked",
      seq: 0,
      leaf: production.book.leafAt(0),
    });
    expect(await machine.outbox.receiptOf(refused)).toMatchObject({ status: "refused", code: "unknown_machine" });
    expect(await told()).toMatchObject([
      { kind: "record.booked", seq: 0, result: "booked", origin: "press-01" },
      { kind: "record.booked", seq: 1, result: "refused", code: "unknown_machine" },
    ]);
    await machine.close();
  });

  it("does not fall over bytes that are no batch, and puts it on record without a word of them", async () => {
    const link = await hub.link(press.name, press.password);
    await link.publish("machines/press-01/events/production", "Maria Silva {{{", { qos: 1 });
    await vi.waitFor(async () => expect(await told()).toHaveLength(1));
    expect(await told()).toMatchObject([{ kind: "message.refused", code: "malformed", count: 1 }]);
    expect(JSON.stringify(await told())).not.toContain("Silva");
    expect(production.book.head().size).toBe(0);
    await link.close();
  });

  it("refuses by the profile and by the rules, books nothing, and counts what was refused", async () => {
    const otto = await joinAsPerson(hub, "otto");
    const entry = addition();
    await otto.call("production", "entry-add", entry);
    const reason = { code: "OTHER" as const, text: "not mine to decide" };
    const voiding = otto.call("production", "entry-void", { id: entry.id, event: v7(), rev: 1, reason });
    await expect(voiding).rejects.toMatchObject({ code: "not_allowed" });
    const astray = [addition({ machine: "pres-01" }), addition({ machine: "pres-01" })];
    for (const one of astray) {
      await expect(otto.call("production", "entry-add", one)).rejects.toThrow(/Nearest: press-01/);
    }
    expect(production.book.head().size).toBe(1);
    await vi.waitFor(async () => expect(await told()).toHaveLength(3));
    expect(await told()).toMatchObject([
      { kind: "record.booked", seq: 0 },
      { kind: "request.refused", code: "not_allowed", count: 1 },
      { kind: "request.refused", code: "unknown_machine", count: 1 },
    ]);
  });

  it("has everything again after a restart, and continues where it was", async () => {
    const maria = await joinAsPerson(hub, "maria");
    const entry = addition({ good: 3, order: "O-1" });
    const first = await maria.call("production", "entry-add", entry);
    const totals = await maria.call("production", "entry-totals", {});
    await end();
    await begin();
    expect(production.checks["book"]?.()).toBe(true);
    expect(await maria.call("production", "entry-totals", {})).toEqual(totals);
    expect(await maria.call("production", "entry-add", entry)).toEqual(first);
    const second = await maria.call("production", "entry-add", addition());
    expect(second.receipt.seq).toBe(1);
    expect(await maria.call("production", "book-verify", {}).catch((error: Error) => error.message)).toMatch(
      /profile supervisor/,
    );
  });

  it("with a damaged book answers readers, says so, and takes nothing in", async () => {
    const maria = await joinAsPerson(hub, "maria");
    const entry = addition({ good: 3 });
    await maria.call("production", "entry-add", entry);
    await maria.call("production", "entry-add", addition());
    await end();
    const raw = await Store.openFolder(join(folder, "store"));
    await raw.write((tx) => tx.del(keys.record(1)));
    await raw.close();
    await begin();

    expect(production.checks["book"]?.()).toMatch(/takes no records: truncated/);
    await expect(maria.call("production", "entry-add", addition())).rejects.toMatchObject({ code: "book_damaged" });
    expect((await maria.call("production", "entry-show", { id: entry.id })).entry.fields.good).toBe(3);
    const machine = await joinAsMachine(hub, press, "production");
    const id = v7();
    await machine.stage(draft(id));
    await maria.call("production", "book-head", {});
    expect(await machine.outbox.receiptOf(id)).toBe("waiting");
    await machine.close();
  });

  it("verifies its book for an auditor and puts the result on record", async () => {
    const [maria, ada] = [await joinAsPerson(hub, "maria"), await joinAsPerson(hub, "ada")];
    await maria.call("production", "entry-add", addition());
    const report = await ada.call("production", "book-verify", {});
    expect(report).toMatchObject({ ok: true, size: 1, damagedCount: 0, signatures: { checked: 1, unknownKey: 0 } });
    expect((await told()).at(-1)).toMatchObject({ kind: "book.verified", ok: true, size: 1 });
  });

  it("keeps five hundred requests in flight apart", async () => {
    const maria = await joinAsPerson(hub, "maria");
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        maria.call("production", "entry-add", addition({ lot: `L-${index % 7}`, good: 1 })),
      ),
    );
    expect(new Set(answers.map((answer) => answer.receipt.seq)).size).toBe(500);
    expect(await maria.call("production", "entry-totals", {})).toMatchObject({
      good: 500,
      entries: 500,
      lots: 7,
      machines: 1,
    });
  });
});
