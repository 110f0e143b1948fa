import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 } from "uuid";
import { expect, onTestFinished, vi } from "vitest";
import type { RestoredMark } from "../../lib/contracts/backup.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { cosignersOf, parseCheckpoint } from "../../lib/ledger/checkpoint.ts";
import type { LedgerRecord } from "../../lib/ledger/record.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { bookOwnEvent } from "../../lib/storage/book/own-event.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { type Audit, startAudit } from "../../services/audit/start-audit.ts";
import type { WitnessingSettings } from "../../services/audit/witnesses/witnessing.ts";
import { type Production, startProduction } from "../../services/production/start-production.ts";
import { joinAsPerson, joinAsService } from "../services/join-hub.ts";
import { startTestHub } from "./hub.ts";
import { logKeysOf } from "./log-keys.ts";
import { joinAsWitness } from "./witness.ts";
import { witnessingOf } from "./witnessing.ts";

/** What was closed within a test is not closed again at its end. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}

export const HUB_HOST = "0".repeat(64);
export const hostOf = (digit: number): string => String(digit).repeat(64);
export const reason = { code: "OTHER" as const, text: "agreed with the plant manager" };
export const WAIT = { timeout: 10_000, interval: 50 };

type Row = { text: string | null; record: LedgerRecord & { event: EventDraft } };

/** A hub, and what it takes to start both books on it, more than once; all of it is ended with the test. */
export async function openWitnessedPlant() {
  const undo: (() => Promise<unknown>)[] = [];
  const hub = await startTestHub();
  const folder = await mkdtemp(join(tmpdir(), "rastro-witnesses-"));
  const keyed = { audit: await hub.addService("audit"), production: await hub.addService("production") };
  await hub.addPerson("root", "administrator");
  const admin = await joinAsPerson(hub, "root");
  const running: { audit: Audit | null; close(): Promise<void> } = { audit: null, close: async () => undefined };
  onTestFinished(async () => {
    for (const close of undo.splice(0).toReversed()) await close();
    await hub.close();
    await rm(folder, { recursive: true });
  });

  async function begin(o: Partial<WitnessingSettings> = {}, restored: RestoredMark | null = null): Promise<Audit> {
    const store = await Store.openFolder(join(folder, "audit"));
    const parts = await joinAsService(hub, keyed.audit, store);
    const witnessing = witnessingOf({ policyFile: join(folder, "tlog-policy"), ...o });
    const backups = { ...parts.backups, restored };
    const audit = await startAudit({ ...parts, backups, witnessing, headNote: join(folder, "head.note") });
    const close = once(async () => {
      await audit.close();
      await parts.link.close();
      await store.close();
    });
    Object.assign(running, { audit, close });
    undo.push(close);
    return audit;
  }

  async function beginProduction(restored: RestoredMark | null = null): Promise<Production> {
    const store = await Store.inMemory();
    const parts = await joinAsService(hub, keyed.production, store);
    const production = await startProduction({ ...parts, backups: { ...parts.backups, restored } });
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
    const { size } = (running.audit as Audit).book.head();
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

  return {
    hub,
    admin,
    undo,
    running,
    begin,
    beginProduction,
    witness,
    list,
    standings,
    rowsOf,
    cosigners,
    cosigning,
    goOnCosigned,
    putCopyBack,
    forgetCheckpoint,
    goOnByItself,
  };
}
