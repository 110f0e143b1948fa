import { cp, mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventDraft } from "../../../lib/contracts/events.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { cosignersOf, parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { judgeCheckpoint, parsePolicy } from "../../../lib/ledger/policy.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { LedgerRecord } from "../../../lib/ledger/record.ts";
import { Book } from "../../../lib/storage/book.ts";
import { bookOwnEvent } from "../../../lib/storage/own-event.ts";
import { Store } from "../../../lib/storage/store.ts";
import { type Audit, startAudit } from "../../../services/audit/start-audit.ts";
import type { WitnessingSettings } from "../../../services/audit/witnesses/witnessing.ts";
import { type Production, startProduction } from "../../../services/production/start-production.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { logKeysOf } from "../../support/log-keys.ts";
import { joinAsWitness, witnessOf } from "../../support/witness.ts";
import { witnessingOf } from "../../support/witnessing.ts";
import { joinAsPerson, joinAsService } from "../join-hub.ts";

/* Both books on a real hub, with witnesses that answer as C2SP's tlog-witness says. */

type Row = { text: string | null; record: LedgerRecord & { event: EventDraft } };

const HUB_HOST = "0".repeat(64);
const hostOf = (digit: number) => String(digit).repeat(64);
const reason = { code: "OTHER" as const, text: "agreed with the plant manager" };
const WAIT = { timeout: 10_000, interval: 50 };

/** What was closed within a test is not closed again at its end. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}

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
    const audit = await startAudit({ ...parts, witnessing, headNote: join(folder, "head.note") });
    const close = once(async () => {
      await audit.close();
      await parts.link.close();
      await store.close();
    });
    running = { audit, close };
    undo.push(close);
    return audit;
  }

  async function beginProduction(): Promise<Production> {
    const store = await Store.inMemory();
    const parts = await joinAsService(hub, keyed.production, store);
    const production = await startProduction(parts);
    const close = once(async () => {
      await production.close();
      await parts.link.close();
      await store.close();
    });
    undo.push(close);
    return { ...production, close };
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
    const one = await cosigning("ipc-01");
    const seen = await goOnCosigned(one);
    await putCopyBack();

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

  it("starts while nobody is in reach, and stops as soon as one comes that has seen more", async () => {
    await begin();
    const one = await cosigning("ipc-01");
    await goOnCosigned(one);
    await putCopyBack();
    await one.online(false);
    one.beSilent(true);
    await forgetCheckpoint();

    const audit = await begin();
    expect(audit.checks["book"]?.()).toBe(true);
    await vi.waitFor(async () => expect((await list()).books[0]?.size).toBe(audit.book.head().size), WAIT);
    one.beSilent(false);
    await one.online(true);
    await vi.waitFor(() => expect(audit.checks["book"]?.()).toMatch(/ipc-01 has seen \d+: it is behind/), WAIT);
    const signed = (await admin.call("audit", "book-checkpoint", {})).note;
    await hub.addMachine("press-09");
    await vi.waitFor(() => expect(audit.witnessing.troubles.open("witness.log-behind")).toHaveLength(1), WAIT);
    expect((await admin.call("audit", "book-checkpoint", {})).note).toBe(signed);
  });

  it("tells both notes of a contradiction: the one that a witness cosigned, and the one that it was asked for", async () => {
    await begin();
    const one = await cosigning("ipc-01");
    const cosigned = await goOnCosigned(one);
    await putCopyBack();
    await goOnByItself(cosigned + 2);
    const audit = await begin();
    const [conflict] = await vi.waitUntil(() => {
      const open = audit.witnessing.troubles.open("witness.conflict");
      return open.some(({ notes }) => notes?.held) && open;
    }, WAIT);
    const held = parseCheckpoint(conflict?.notes?.held ?? "");
    const offered = parseCheckpoint(conflict?.notes?.offered ?? "");
    expect(held.head.size).toBe(cosigned);
    expect(offered.head.size).toBeGreaterThanOrEqual(cosigned + 2);
    expect(audit.checks["book"]?.()).toBe(true);

    // Whoever was not let in is not believed without a proof.
    const stranger = await hub.addMachine("press-66");
    const link = await hub.link(stranger.name, stranger.password);
    const seen = (await admin.call("audit", "book-checkpoint", {})).note ?? "";
    const since = new Date().toISOString();
    const alarm = {
      v: 1,
      alarm: "inconsistent",
      origin: offered.head.origin,
      since,
      message: "No.",
      cosigned: null,
      seen,
    };
    await link.publish(topics.witnessAlarm(stranger.name, "audit"), JSON.stringify(alarm), { qos: 1, retain: true });

    await one.link.publish(topics.witnessAlarm("ipc-01", "audit"), "", { qos: 1, retain: true });
    await vi.waitFor(async () => expect(await rowsOf("witness.conflict-ended")).toHaveLength(1), WAIT);
    const accusers = (await rowsOf("witness.conflict")).map(({ record }) => record.event.obj.key);
    expect(new Set(accusers)).toEqual(new Set(["ipc-01"]));
  });

  /** A machine whose witness has cosigned the audit book, of which a copy is laid aside then. */
  async function cosigning(name: string) {
    const one = await witness(name, hostOf(1));
    await one.online(true);
    await one.offer();
    await vi.waitFor(async () => expect(await cosigners("audit", [one.key])).toBe(1), WAIT);
    await running.close();
    await cp(join(folder, "audit"), join(folder, "older"), { recursive: true });
    await cp(join(folder, "head.note"), join(folder, "older.note"));
    return one;
  }

  /** The book goes on, and the witness cosigns that. @returns how many records it has seen. */
  async function goOnCosigned(one: Awaited<ReturnType<typeof witness>>): Promise<number> {
    await begin();
    for (const name of ["press-01", "press-02"]) await hub.addMachine(name);
    await vi.waitFor(async () => expect(await rowsOf("machine.added")).toHaveLength(3), WAIT);
    // Its own acts, which nobody sends again: with what others do, an older copy would soon have as many records.
    for (let n = 0; n < 20; n += 1) await admin.call("audit", "book-verify", {});
    const { size } = running.audit.book.head();
    await vi.waitFor(() => expect(one.size("audit")).toBeGreaterThanOrEqual(size), WAIT);
    await running.close();
    return one.size("audit") ?? 0;
  }

  async function putCopyBack(): Promise<void> {
    await rm(join(folder, "audit"), { recursive: true });
    await cp(join(folder, "older"), join(folder, "audit"), { recursive: true });
    await cp(join(folder, "older.note"), join(folder, "head.note"));
  }

  async function forgetCheckpoint(): Promise<void> {
    const link = await hub.link("audit", keyed.audit.password);
    await link.publish(topics.checkpoint("audit"), "", { qos: 1, retain: true });
    await link.close();
  }

  /** Lets the book go on to so many records that nobody has seen. */
  async function goOnByItself(size: number): Promise<void> {
    const store = await Store.openFolder(join(folder, "audit"));
    const logKeys = logKeysOf(`${hub.plant}/audit`);
    const headNote = join(folder, "head.note");
    const book = await Book.open({ store, name: "audit", origin: logKeys.origin, signer: logKeys, headNote });
    const self = { name: "audit", app: "audit@test", sign: null, key: "", tz: "UTC", now: Date.now };
    while (book.head().size < size) {
      await store.write((tx) => {
        const told = { type: "agent.started" as const, obj: { kind: "machine", key: "ipc-09" }, payload: {} };
        const recv = new Date().toISOString();
        bookOwnEvent({ book, self, newId: v7 }, tx, recv, { result: "booked", code: null }, told);
      });
    }
    await book.close();
    await store.close();
  }

  it("stops production's book too, and lets it go on once the loss is accepted", async () => {
    await begin();
    const first = await beginProduction();
    const fields = { machine: "press-01", lot: "L-1", good: 5 };
    const entry = () => ({ id: v7(), at: new Date().toISOString(), tz: "UTC", fields });
    await hub.addMachine("press-01");
    await vi.waitFor(() => admin.call("production", "entry-add", entry()), WAIT);
    await vi.waitFor(async () => expect((await list()).books[1]?.size).toBe(1), WAIT);
    await first.close();

    const second = await beginProduction();
    await vi.waitFor(
      () => expect(second.checks["book"]?.()).toMatch(/has 0 records and the audit service has seen 1/),
      WAIT,
    );
    await expect(admin.call("production", "entry-add", entry())).rejects.toMatchObject({ code: "book_behind" });
    await vi.waitFor(async () => expect(await rowsOf("witness.log-behind")).toHaveLength(1), WAIT);

    await admin.call("audit", "accept-loss", { event: v7(), book: "production", reason });
    expect(second.checks["book"]?.()).toBe(true);
    await vi.waitFor(async () => expect(await rowsOf("witness.log-caught-up")).toHaveLength(1), WAIT);
    await admin.call("production", "entry-add", entry());
    await expect(admin.call("audit", "accept-loss", { event: v7(), book: "production", reason })).rejects.toMatchObject(
      {
        code: "not_behind",
      },
    );
  });

  it("asks a witness with an address over HTTP, and tells what it refuses", async () => {
    await begin();
    const office = witnessOf("office.example/w1", hub.plant);
    let refusing = false;
    const paths: string[] = [];
    const serve = async (request: IncomingMessage, response: ServerResponse) => {
      paths.push(`${request.method} ${request.url}`);
      const { status, body } = refusing ? { status: 403, body: "no\n" } : office.answer(await text(request));
      response.writeHead(status).end(body);
    };
    const server = createServer((request, response) => void serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    undo.push(async () => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log`;
    const vkey = formatVerifierKey(office.key);
    await admin.call("audit", "witness-add", { event: v7(), name: "office", vkey, url, reason });
    await vi.waitFor(async () => expect(await cosigners("audit", [office.key])).toBe(1), WAIT);
    expect(new Set(paths)).toEqual(new Set(["POST /log/add-checkpoint"]));

    refusing = true;
    await hub.addMachine("press-01");
    await vi.waitFor(async () => expect(await rowsOf("witness.refused")).toHaveLength(1), WAIT);
    refusing = false;
    await vi.waitFor(async () => expect(await rowsOf("witness.refusal-ended")).toHaveLength(1), WAIT);
  });
});
