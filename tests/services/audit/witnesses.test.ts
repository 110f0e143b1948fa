import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventDraft } from "../../../lib/contracts/events.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import { cosignersOf, parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { judgeCheckpoint, parsePolicy } from "../../../lib/ledger/policy.ts";
import type { LedgerRecord } from "../../../lib/ledger/record.ts";
import { Store } from "../../../lib/storage/store.ts";
import { type Audit, startAudit } from "../../../services/audit/start-audit.ts";
import type { WitnessingSettings } from "../../../services/audit/witnesses/witnessing.ts";
import { type Production, startProduction } from "../../../services/production/start-production.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { joinAsWitness } from "../../support/witness.ts";
import { witnessingOf } from "../../support/witnessing.ts";
import { joinAsPerson, joinAsService } from "../join-hub.ts";

/* Both books on a real hub, with witnesses that answer as C2SP's tlog-witness says. */

type Row = { text: string | null; record: LedgerRecord & { event: EventDraft } };

const HUB_HOST = "0".repeat(64);
const hostOf = (digit: number) => String(digit).repeat(64);
const reason = { code: "OTHER" as const, text: "agreed with the plant manager" };
const WAIT = { timeout: 10_000, interval: 50 };

describe("the witnesses of both books", () => {
  let hub: TestHub;
  let folder: string;
  let keyed: Record<"audit" | "production", Keyed>;
  let admin: Awaited<ReturnType<typeof joinAsPerson>>;
  let running: { audit: Audit; close(): Promise<void> };
  const undo: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    hub = await startTestHub();
    folder = await mkdtemp(join(tmpdir(), "rastro-witnesses-"));
    keyed = { audit: await hub.addService("audit"), production: await hub.addService("production") };
    await hub.addPerson("root", "administrator");
    admin = await joinAsPerson(hub, "root");
  });
  afterEach(async () => {
    for (const close of undo.splice(0).toReversed()) await close();
    await hub.close();
    await rm(folder, { recursive: true });
  });

  async function begin(o: Partial<WitnessingSettings> = {}): Promise<Audit> {
    const store = await Store.openFolder(join(folder, "audit"));
    const parts = await joinAsService(hub, keyed.audit, store);
    const witnessing = witnessingOf({ policyFile: join(folder, "tlog-policy"), ...o });
    const audit = await startAudit({ ...parts, witnessing, headNote: join(folder, "head.note"), verifyAt: "02:00" });
    let closed: Promise<void> | null = null;
    const close = () =>
      (closed ??= (async () => {
        await audit.close();
        await parts.link.close();
        await store.close();
      })());
    running = { audit, close };
    undo.push(close);
    return audit;
  }

  async function beginProduction(): Promise<Production> {
    const store = await Store.inMemory();
    const parts = await joinAsService(hub, keyed.production, store);
    const production = await startProduction(parts);
    undo.push(async () => {
      await production.close();
      await parts.link.close();
      await store.close();
    });
    return production;
  }

  async function witness(name: string, host: string | null) {
    const joined = await joinAsWitness(hub, await hub.addMachine(name), { host });
    undo.push(() => joined.close());
    return joined;
  }

  const list = () => admin.call("audit", "witness-list", {});
  const standings = async () => (await list()).witnesses.map(({ name, standing }) => `${name} ${standing}`);
  async function rowsOf(type: string): Promise<Row[]> {
    const { rows } = await admin.call("audit", "audit-tail", { limit: 200 });
    return (rows as Row[]).filter((row) => row.record.event.type === type);
  }
  async function cosigners(book: BookName, keys: Parameters<typeof cosignersOf>[1]): Promise<number> {
    const { note } = await admin.call(book, "book-checkpoint", {});
    return note === null ? 0 : cosignersOf(parseCheckpoint(note), keys).length;
  }

  it("lets in who offers itself, and has every checkpoint of both books cosigned", async () => {
    await begin();
    await beginProduction();
    const all = [
      await witness("ipc-01", hostOf(1)),
      await witness("ipc-02", hostOf(2)),
      await witness("own", HUB_HOST),
    ];
    for (const one of all) await one.offer();

    await vi.waitFor(
      async () => expect(await standings()).toEqual(["ipc-01 counts", "ipc-02 counts", "own own-host"]),
      WAIT,
    );
    const keys = all.map(({ key }) => key);
    await vi.waitFor(async () => expect(await cosigners("audit", keys)).toBe(3), WAIT);
    await vi.waitFor(async () => expect(await cosigners("production", keys)).toBe(3), WAIT);

    const { text } = await admin.call("audit", "witness-policy", {});
    const { note } = await admin.call("audit", "book-checkpoint", {});
    expect(judgeCheckpoint(parsePolicy(text), parseCheckpoint(note ?? "")).refusal).toBeNull();
    const [audit, production] = [
      { book: "audit", needed: 2, cosigned: 2, troubles: [] },
      { book: "production", needed: 2, cosigned: 2, troubles: [] },
    ];
    await vi.waitFor(async () => expect((await list()).books).toMatchObject([audit, production]), WAIT);
    expect(await rowsOf("witness.admitted")).toHaveLength(3);
  });

  it("counts one witness of a computer, none of which the computer is not known, and whom a person lets in", async () => {
    await begin();
    const one = await witness("ipc-01", hostOf(1));
    const twin = await witness("ipc-02", hostOf(1));
    const lost = await witness("ipc-03", null);
    for (const each of [one, twin, lost]) {
      await each.offer();
      await vi.waitFor(async () => expect((await standings()).join()).toContain(each.name), WAIT);
    }
    expect(await standings()).toEqual(["ipc-01 counts", "ipc-02 same-host", "ipc-03 unknown-host"]);

    await admin.call("audit", "witness-add", { event: v7(), name: "ipc-03", vkey: null, url: null, reason });
    await admin.call("audit", "witness-remove", { event: v7(), name: "ipc-01", reason });
    expect(await standings()).toEqual(["ipc-01 removed", "ipc-02 counts", "ipc-03 counts"]);
    await one.offer();
    await vi.waitFor(async () => expect(await rowsOf("witness.offered")).toHaveLength(4), WAIT);
    expect(await standings()).toContain("ipc-01 removed");
    const [removed] = await rowsOf("witness.removed");
    expect(removed).toMatchObject({ text: reason.text });
  });

  it("says that a quorum is missing, and that it is there again", async () => {
    const audit = await begin({ quorumMs: 300, answerMs: 300 });
    const one = await witness("ipc-01", hostOf(1));
    await one.offer();
    await vi.waitFor(async () => expect(await cosigners("audit", [one.key])).toBe(1), WAIT);
    await one.close();
    await one.link.close();
    await hub.addMachine("press-09");
    await vi.waitFor(async () => expect(await rowsOf("witness.quorum-degraded")).toHaveLength(1), WAIT);
    expect(audit.witnessing.troubles.open().map(({ type }) => type)).toEqual(["witness.quorum-degraded"]);

    await admin.call("audit", "witness-remove", { event: v7(), name: "ipc-01", reason });
    await vi.waitFor(async () => expect(await rowsOf("witness.quorum-restored")).toHaveLength(1), WAIT);
    expect(audit.witnessing.troubles.open()).toEqual([]);
  });

  it("does not go on with an older copy of itself until an administrator accepts the loss", async () => {
    await begin();
    const one = await witness("ipc-01", hostOf(1));
    await one.online(true);
    await one.offer();
    await vi.waitFor(async () => expect(await cosigners("audit", [one.key])).toBe(1), WAIT);
    await running.close();
    await cp(join(folder, "audit"), join(folder, "older"), { recursive: true });
    await cp(join(folder, "head.note"), join(folder, "older.note"));

    await begin();
    for (const name of ["press-01", "press-02"]) await hub.addMachine(name);
    await vi.waitFor(async () => expect(await rowsOf("machine.added")).toHaveLength(3), WAIT);
    const { size } = running.audit.book.head();
    await vi.waitFor(() => expect(one.size("audit")).toBeGreaterThanOrEqual(size), WAIT);
    const seen = one.size("audit");
    await running.close();
    await rm(join(folder, "audit"), { recursive: true });
    await cp(join(folder, "older"), join(folder, "audit"), { recursive: true });
    await cp(join(folder, "older.note"), join(folder, "head.note"));

    const audit = await begin();
    const { size: left } = audit.book.head();
    expect(audit.checks["book"]?.()).toMatch(
      new RegExp(`has ${left} records and .*ipc-01 has seen ${seen}.*rastro backup restore`),
    );
    expect((await list()).books[0]?.troubles.join()).toMatch(/ipc-01 has seen/);
    await expect(admin.call("audit", "witness-remove", { event: v7(), name: "ipc-01", reason })).rejects.toMatchObject({
      code: "book_behind",
    });
    await running.close();
    await begin();
    expect(running.audit.checks["book"]?.()).toMatch(/it is behind/);

    await admin.call("audit", "accept-loss", { event: v7(), book: "audit", reason });
    expect(running.audit.checks["book"]?.()).toBe(true);
    expect(await rowsOf("witness.log-behind")).toHaveLength(1);
    expect((await rowsOf("book.loss-accepted"))[0]).toMatchObject({
      text: reason.text,
      record: { event: { payload: { book: "audit", size: left } } },
    });
  });
});
