import { randomBytes } from "node:crypto";
import { v7 } from "uuid";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CommandResult, Issuer } from "../../../../lib/contracts/commands.ts";
import { createKey } from "../../../../lib/runtime/keys.ts";
import { Outbox } from "../../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { stepOf } from "../../../../services/fleet/commands/command-record.ts";
import { openCommandStore } from "../../../../services/fleet/commands/command-store.ts";
import { command, signedBy } from "../../../support/commands.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { recording } from "../../../support/recording-outbox.ts";
import { NOW } from "../samples.ts";

const DAY = 86_400_000;
const key = createKey();
const WAITS = { validMs: 60_000, approvalMs: 900_000 };
const issued = (change = {}) => {
  const made = command(change, NOW);
  return { command: made, signed: signedBy(key, made), waits: WAITS, rollout: null };
};
const MARIA: Issuer = { sub: `p-${"a".repeat(32)}`, auth: "session", profile: "coordinator" };
/** One that waits for a second person. */
const proposed = (change = {}) => ({ ...issued(change), signed: null });
const resultOf = (id: string, status: CommandResult["status"] = "succeeded"): CommandResult => ({
  v: 1,
  id,
  at: new Date(NOW).toISOString(),
  status,
  data: status === "succeeded" ? { time: "2026-11-24T12:00:00.000Z", offsetMs: 3 } : null,
  error: null,
});

async function open(store: Store) {
  const clock = { now: NOW };
  const now = () => clock.now;
  const opened = await Outbox.open({
    store,
    book: "audit",
    name: "fleet",
    app: "fleet@test",
    sign: null,
    random: randomBytes,
    now,
  });
  const { outbox, told } = recording(opened);
  const commands = await openCommandStore({ store, outbox, newId: v7, now, tz: "UTC" });
  return { commands, told, clock };
}

async function inMemory() {
  const store = await Store.inMemory();
  onTestFinished(() => store.close());
  return { store, ...(await open(store)) };
}

describe("commands on disk", () => {
  it("tell audit of every state, in the same write, with whoever brought it about", async () => {
    const { commands, told } = await inMemory();
    const made = issued();
    const { id } = made.command;
    await commands.add(made);
    for (const kind of ["sent", "ack", "progress"] as const) await commands.advance(id, { kind });
    await commands.advance(id, { kind: "result", result: resultOf(id) });
    const events = told;
    expect(events.map(({ type, actor }) => [type, actor.sub])).toEqual([
      ["command.issued", "local-admin"],
      ["command.sent", "fleet"],
      ["command.acknowledged", "ipc-07"],
      ["command.running", "ipc-07"],
      ["command.finished", "ipc-07"],
    ]);
    expect(events[0]?.payload).toMatchObject({ machine: "ipc-07", name: "ping", args: {} });
    expect(events.at(-1)?.payload).toMatchObject({ outcome: "succeeded", late: false, digest: expect.any(String) });
    expect(JSON.stringify(events)).not.toContain('offsetMs":3');
    expect(commands.find(id)?.history.map(({ state }) => state)).toEqual([
      "queued",
      "sent",
      "acknowledged",
      "running",
      "succeeded",
    ]);
  });

  it("that take two persons tell audit who asked, who agreed and who called back, with the state before and after", async () => {
    const { commands, told } = await inMemory();
    const [agreed, refused] = [proposed(), proposed()];
    for (const made of [agreed, refused]) await commands.add(made);
    const made = { command: agreed.command, signed: signedBy(key, agreed.command) };
    await commands.advance(agreed.command.id, { kind: "approved", by: MARIA, made });
    await commands.advance(refused.command.id, { kind: "cancelled", by: MARIA });
    await commands.advance(agreed.command.id, { kind: "cancelled", by: null });
    expect(told.map(({ type, actor, payload }) => [type, actor.sub, payload["before"], payload["after"]])).toEqual([
      ["command.proposed", "local-admin", null, "pending-approval"],
      ["command.proposed", "local-admin", null, "pending-approval"],
      ["command.approved", MARIA.sub, "pending-approval", "queued"],
      ["command.cancelled", MARIA.sub, "pending-approval", "cancelled"],
      ["command.cancelled", "fleet", "queued", "cancelled"],
    ]);
  });

  it("wait for a second person over a restart, unsigned", async () => {
    const folder = await temporaryFolder();
    const first = await Store.openFolder(folder);
    const waiting = proposed();
    await (await open(first)).commands.add(waiting);
    await first.close();
    const second = await Store.openFolder(folder);
    const { commands } = await open(second);
    expect(commands.open()).toMatchObject([waiting]);
    await second.close();
  });

  it("write nothing for what is repeated or unknown", async () => {
    const { commands, told } = await inMemory();
    const made = issued();
    await commands.add(made);
    expect(await commands.add(made)).toBeNull();
    expect(await commands.advance(made.command.id, { kind: "sent" })).not.toBeNull();
    expect(await commands.advance(made.command.id, { kind: "sent" })).toBeNull();
    expect(await commands.advance(v7(), { kind: "ack" })).toBeNull();
    expect(told).toHaveLength(2);
  });

  it("say that a result came late", async () => {
    const { commands, told } = await inMemory();
    const made = issued();
    const { id } = made.command;
    await commands.add(made);
    await commands.advance(id, { kind: "ack" });
    await commands.advance(id, { kind: "silence" });
    expect(commands.open()).toEqual([]);
    await commands.advance(id, { kind: "result", result: resultOf(id) });
    expect(told.slice(-2).map(({ actor, payload }) => [actor.sub, payload["outcome"], payload["late"]])).toEqual([
      ["fleet", "timed-out", false],
      ["ipc-07", "succeeded", true],
    ]);
  });

  it("survive a restart, open ones as open, with the bytes that were signed", async () => {
    const folder = await temporaryFolder();
    const first = await Store.openFolder(folder);
    const { commands } = await open(first);
    const [one, other, done] = [issued(), issued({ machine: "ipc-08" }), issued()];
    for (const made of [one, other, done]) await commands.add(made);
    await commands.advance(one.command.id, { kind: "ack" });
    await commands.advance(done.command.id, { kind: "result", result: resultOf(done.command.id) });
    await first.close();

    const second = await Store.openFolder(folder);
    const again = (await open(second)).commands;
    expect(again.open().map((record) => [record.command.id, stepOf(record).state])).toEqual([
      [one.command.id, "acknowledged"],
      [other.command.id, "queued"],
    ]);
    expect(again.open("ipc-08").map(({ signed }) => signed)).toEqual([other.signed]);
    expect(again.find(done.command.id)?.result).toEqual(resultOf(done.command.id));
    await second.close();
  });

  it("take at most a hundred open ones for a machine", async () => {
    const { commands } = await inMemory();
    for (let count = 0; count < 100; count += 1) await commands.add(issued());
    await expect(commands.add(issued())).rejects.toMatchObject({ code: "busy", problem: { given: "ipc-07" } });
    expect(await commands.add(issued({ machine: "ipc-08" }))).not.toBeNull();
    const [first] = commands.open("ipc-07");
    await commands.advance(first?.command.id ?? "", { kind: "silence" });
    expect(await commands.add(issued())).not.toBeNull();
  });

  it("are listed newest first, by page and by machine", async () => {
    const { commands } = await inMemory();
    const ids: string[] = [];
    for (const machine of ["ipc-07", "ipc-7", "ipc-07", "ipc-070", "ipc-07"]) {
      const made = issued({ machine });
      ids.unshift(made.command.id);
      await commands.add(made);
    }
    const list = async (machine: string | null, limit: number, after: string | null) => {
      const page = await commands.list({ machine, limit, after });
      return { ids: page.records.map((record) => record.command.id), next: page.next };
    };
    expect(await list(null, 10, null)).toEqual({ ids, next: null });
    const first = await list(null, 2, null);
    expect(first).toEqual({ ids: ids.slice(0, 2), next: ids[1] });
    expect(await list(null, 3, first.next)).toEqual({ ids: ids.slice(2), next: null });
    expect(await list("ipc-07", 2, null)).toEqual({ ids: [ids[0], ids[2]], next: ids[2] });
    expect(await list("ipc-07", 2, ids[2] ?? null)).toEqual({ ids: [ids[4]], next: null });
    expect(await list("ipc-9", 2, null)).toEqual({ ids: [], next: null });
  });

  it("are put away a month after they ended, and not before", async () => {
    const { commands, clock } = await inMemory();
    const [old, recent, stillOpen] = [issued(), issued(), issued()];
    for (const made of [old, recent, stillOpen]) await commands.add(made);
    await commands.advance(old.command.id, { kind: "silence" });
    clock.now += 20 * DAY;
    await commands.advance(recent.command.id, { kind: "silence" });
    clock.now += 11 * DAY;
    await commands.prune(30 * DAY);
    const { records } = await commands.list({ machine: "ipc-07", limit: 10, after: null });
    expect(records.map((record) => record.command.id)).toEqual([stillOpen.command.id, recent.command.id]);
    expect(commands.find(old.command.id)).toBeUndefined();
  });
});
