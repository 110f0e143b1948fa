import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 } from "uuid";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventDraft } from "../../../lib/contracts/events.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import type { LedgerRecord } from "../../../lib/ledger/record.ts";
import { readU64, RECORDS } from "../../../lib/storage/keys.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { type Audit, startAudit } from "../../../services/audit/start-audit.ts";
import { type Production, startProduction } from "../../../services/production/start-production.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { joinAsMachine, joinAsPerson, joinAsService } from "../join-hub.ts";

/* Audit on a real hub: what production, the directory and machines tell it, and what auditors ask of it. */

type Row = { seq: number; who: string | null; text: string | null; record: LedgerRecord & { event: EventDraft } };

describe("audit on a hub", () => {
  let hub: TestHub;
  const services: Record<string, Keyed> = {};
  let folder: string;
  let store: Store;
  let parts: Awaited<ReturnType<typeof joinAsService>>;
  let audit: Audit;

  beforeAll(async () => {
    hub = await startTestHub();
    for (const name of ["audit", "production"]) services[name] = await hub.addService(name);
    await hub.addMachine("press-01");
    await hub.addPerson("maria", "supervisor");
    await hub.addPerson("ada", "analyst");
  });
  afterAll(() => hub.close());

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-audit-"));
    await begin();
  });
  afterEach(async () => {
    await end();
    await rm(folder, { recursive: true });
  });

  async function begin() {
    store = await Store.openFolder(join(folder, "store"));
    parts = await joinAsService(hub, services["audit"] as Keyed, store);
    audit = await startAudit({ ...parts, headNote: join(folder, "head.note") });
  }
  async function end() {
    await audit.close();
    // The next test has a book of its own, which is not to be taken for this one's remains.
    await parts.link.publish(topics.checkpoint("audit"), "", { qos: 1, retain: true });
    await parts.link.close();
    await store.close();
  }

  async function withProduction<T>(use: (production: Production) => Promise<T>): Promise<T> {
    const own = await joinAsService(hub, services["production"] as Keyed, await Store.inMemory());
    const production = await startProduction(own);
    try {
      return await use(production);
    } finally {
      await production.close();
      await own.link.close();
      await own.store.close();
    }
  }

  const auditor = () => joinAsPerson(hub, "ada");
  const rowsOf = async (type: string): Promise<Row[]> => {
    const { call, link } = await auditor();
    const { rows } = await call("audit", "audit-tail", { limit: 200 });
    await link.close();
    return (rows as Row[]).filter((row) => row.record.event.type === type);
  };

  it("has one record for each record of production, readable for an auditor", async () => {
    const maria = await joinAsPerson(hub, "maria");
    await withProduction(async (production) => {
      const id = v7();
      const entry = { at: new Date().toISOString(), tz: "America/Sao_Paulo" };
      const fields = { machine: "press-01", lot: "L-1", good: 5 };
      await maria.call("production", "entry-add", { id, ...entry, fields });
      const reason = { code: "COUNT_FIX" as const, text: "Rui counted one more" };
      await maria.call("production", "entry-correct", {
        id,
        event: v7(),
        rev: 1,
        fields: { ...fields, good: 6 },
        reason,
      });

      await vi.waitFor(async () => expect(await rowsOf("record.booked")).toHaveLength(2));
      const [correction, creation] = await rowsOf("record.booked");
      expect(creation).toMatchObject({ who: "maria", text: null });
      expect(creation?.record.event).toMatchObject({
        id,
        payload: { book: "production", seq: 0, leaf: production.book.leafAt(0) },
      });
      expect(correction).toMatchObject({ who: "maria", text: "Rui counted one more" });
      expect(correction?.record).toMatchObject({
        via: { kind: "outbox", name: "production" },
        sig: { by: "production" },
        added: { result: "booked", role: "supervisor" },
        event: { payload: { type: "entry.corrected", before: { good: 5 }, after: { good: 6 } } },
      });
      expect(JSON.stringify(correction?.record)).not.toMatch(/maria|Rui counted/);

      const { call } = await auditor();
      const shown = await call("audit", "audit-show", { id });
      expect(shown).toMatchObject({ who: "maria", proof: { record: { seq: creation?.seq } } });
      expect(await call("audit", "book-verify", {})).toMatchObject({ ok: true, signatures: { unknownKey: 0 } });
    });
  });

  it("takes what machines tell of themselves, and keeps what was not theirs to tell as refused", async () => {
    const press = await hub.addMachine("press-03");
    const machine = await joinAsMachine(hub, press, "audit");
    const own = (type: EventDraft["type"]): EventDraft => ({
      id: v7(),
      type,
      at: new Date().toISOString(),
      tz: "UTC",
      clock: { source: "ntp", offsetMs: 0 },
      actor: { sub: press.name, auth: "device" },
      obj: { kind: "machine", key: press.name },
      reason: null,
      payload: {},
    });
    const [started, forged] = [own("agent.started"), own("user.added")];
    await machine.stage(started);
    await machine.stage(forged);
    await vi.waitFor(async () => expect(await machine.outbox.receiptOf(forged.id)).not.toBe("waiting"));
    expect(await machine.outbox.receiptOf(started.id)).toMatchObject({ status: "booked", book: "audit" });
    expect(await machine.outbox.receiptOf(forged.id)).toMatchObject({ status: "refused", code: "not_allowed" });
    await machine.close();
  });

  it("has what the directory did, without a name in any record", async () => {
    await hub.addPerson("zoe-m", "operator");
    await vi.waitFor(async () => expect((await rowsOf("user.added")).length).toBeGreaterThan(0), 10_000);
    expect((await rowsOf("user.added"))[0]?.record.added.result).toBe("booked");
    for (const row of await rowsOf("user.added")) expect(JSON.stringify(row.record)).not.toContain("zoe-m");
  });

  it("opens names and addresses to administrators, and to no other auditor", async () => {
    await hub.addPerson("rosa", "operator");
    await hub.signIn("rosa");
    const personalOf = async (name: string) => {
      const { call, link } = await joinAsPerson(hub, name);
      const { rows } = await call("audit", "audit-tail", { limit: 200 });
      await link.close();
      return rows.map(({ personal }) => personal);
    };
    await vi.waitFor(
      async () =>
        expect(await personalOf("local-admin")).toEqual(
          expect.arrayContaining([{ login: "rosa" }, { address: "127.0.0.1" }]),
        ),
      10_000,
    );
    expect((await personalOf("ada")).every((personal) => Object.keys(personal).length === 0)).toBe(true);
    for (const row of await rowsOf("session.started")) expect(JSON.stringify(row.record)).not.toContain("127.0.0.1");
  });

  it("books each verification once, in the name of whoever asked", async () => {
    const ada = await auditor();
    await ada.call("audit", "book-verify", {});
    const [verified] = await rowsOf("book.verified");
    expect(verified).toMatchObject({
      who: "ada",
      record: {
        via: { kind: "internal", name: "audit" },
        added: { role: "analyst" },
        event: { payload: { why: "request", ok: true } },
      },
    });
    expect(await rowsOf("book.verified")).toHaveLength(1);
    expect(audit.checks["verification"]?.()).toBe(true);
  });

  it("puts a request that was refused on record, with the person's random id", async () => {
    const maria = await joinAsPerson(hub, "maria");
    await expect(maria.call("audit", "book-verify", {})).rejects.toMatchObject({ code: "not_allowed" });
    await vi.waitFor(async () => expect(await rowsOf("request.refused")).toHaveLength(1));
    const [refused] = await rowsOf("request.refused");
    expect(refused).toMatchObject({ who: "maria", record: { event: { payload: { code: "not_allowed", count: 1 } } } });
    expect(JSON.stringify(refused?.record)).not.toContain("maria");
  });

  it("starts with a damaged book, says so, shows and verifies it, and takes nothing in", async () => {
    const ada = await auditor();
    await ada.call("audit", "book-verify", {});
    await ada.call("audit", "book-verify", {});
    await end();
    const last = await removeLastRecord(join(folder, "store"));
    await begin();

    expect(audit.checks["book"]?.()).toMatch(/takes no records: truncated/);
    const report = await ada.call("audit", "book-verify", {});
    expect(report.ok).toBe(false);
    expect(report.damaged.map((damage) => damage.seq)).toContain(last);
    expect(audit.checks["verification"]?.()).toMatch(/damaged places/);
    expect((await ada.call("audit", "audit-tail", { limit: 200 })).rows).toHaveLength(last);
  });
});

async function removeLastRecord(folder: string): Promise<number> {
  const store = await Store.openFolder(folder);
  try {
    for await (const [key] of store.range({ ...RECORDS, reverse: true, limit: 1 })) {
      await store.write((tx) => tx.del(key));
      return readU64(key, 1);
    }
    throw new Error("the book has no record to remove");
  } finally {
    await store.close();
  }
}
