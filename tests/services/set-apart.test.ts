import { randomBytes } from "node:crypto";
import { v7 } from "uuid";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Event, EventDraft, Receipt, SignedEvent } from "../../lib/contracts/events.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { keys } from "../../lib/storage/keys.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { startAudit } from "../../services/audit/start-audit.ts";
import { startProduction } from "../../services/production/start-production.ts";
import { startTestHub } from "../support/hub.ts";
import { SILENT } from "../support/silent.ts";
import { rastro } from "../tools/commands/cli.ts";
import { joinAsPerson, joinAsService } from "./join-hub.ts";

/* What a book cannot trust or misses, from a machine through the hub to what people see of it on the command line. */

type Listed = { book: string; rows: { seq: number; sha256: string; code: string; first: number | null }[] }[];

async function startPlant() {
  const hub = await startTestHub();
  onTestFinished(() => hub.close());
  const stores = [await Store.inMemory(), await Store.inMemory()] as const;
  const own = await joinAsService(hub, await hub.addService("production"), stores[0]);
  const production = await startProduction(own);
  const parts = await joinAsService(hub, await hub.addService("audit"), stores[1]);
  const audit = await startAudit({ ...parts });
  onTestFinished(async () => {
    await production.close();
    await audit.close();
    for (const store of stores) await store.close();
  });
  await hub.addPerson("ada", "analyst");
  await hub.addPerson("maria", "operator");
  const press = await hub.addMachine("press-01");
  const run = (user: string, ...args: string[]) =>
    rastro(args, {
      RASTRO_URL: hub.directoryUrl,
      RASTRO_BROKER_URL: hub.url,
      RASTRO_USER: user,
      RASTRO_PASSWORD: `${user}-password`,
      HOME: "/nonexistent",
    });
  const gaps = () =>
    Array.from({ length: production.book.head().size }, (_, seq) => production.book.open(seq)?.event as Event)
      .filter(({ type }) => type.startsWith("gap."))
      .map(({ type, payload }) => [type, payload["first"], payload["last"]]);
  return { hub, press, production, run, gaps };
}

function entry(good: number): EventDraft {
  const id = v7();
  return {
    id,
    type: "entry.created",
    at: new Date().toISOString(),
    tz: "America/Sao_Paulo",
    clock: { source: "ntp", offsetMs: 0 },
    actor: { sub: "press-01", auth: "device" },
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields: { machine: "press-01", lot: "L-1", good } },
  };
}

async function rowsOf(store: Store): Promise<[Buffer, Buffer][]> {
  const rows: [Buffer, Buffer][] = [];
  for await (const row of store.range({ gte: Buffer.from("o"), lt: Buffer.from("p") })) rows.push(row);
  return rows;
}

it("names what a machine lost, and says so when its outbox is put back and it arrives after all", async () => {
  const { hub, press, production, gaps } = await startPlant();
  const store = await Store.inMemory();
  onTestFinished(() => store.close());
  const openOutbox = () =>
    Outbox.open({
      store,
      book: "production",
      name: press.name,
      app: "edge-agent@test",
      sign: (bytes) => sign(press.key.privateKey, bytes),
      random: randomBytes,
      now: Date.now,
    });
  const link = await hub.link(press.name, press.password);
  const sendAll = async () => {
    const outbox = await openOutbox();
    const owner = { kind: "machines", name: press.name } as const;
    const sender = createOutboxSender({ link, outbox, owner, log: SILENT, now: Date.now });
    sender.start();
    await vi.waitFor(() => expect(outbox.depth().waiting).toBe(0), { timeout: 10_000 });
    await sender.stop();
  };
  const drafts = [1, 2, 3, 4, 5, 6].map(entry);
  const outbox = await openOutbox();
  await store.write((tx) => drafts.forEach((draft) => outbox.stage(tx, draft)));

  const lost = [3, 4].map((dseq) => keys.outbox.event("production", dseq));
  const copy = await rowsOf(store);
  await store.write((tx) => lost.forEach((key) => tx.del(key)));
  await sendAll();
  expect(gaps()).toEqual([["gap.found", 3, 4]]);
  expect(drafts.map(({ id }) => production.book.find(id) !== undefined)).toEqual([
    true,
    true,
    false,
    false,
    true,
    true,
  ]);

  const since = await rowsOf(store);
  await store.write((tx) => {
    for (const [key] of since) tx.del(key);
    for (const [key, value] of copy) tx.put(key, value);
  });
  await sendAll();
  expect(gaps()).toEqual([
    ["gap.found", 3, 4],
    ["gap.closed", 3, 4],
  ]);
  expect(drafts.every(({ id }) => production.book.find(id) !== undefined)).toBe(true);
  const maria = await joinAsPerson(hub, "maria");
  expect(await maria.call("production", "entry-totals", {})).toMatchObject({ entries: 6, good: 21 });
});

it("keeps both of a conflict, and shows them", async () => {
  const { hub, press, run } = await startPlant();
  const link = await hub.link(press.name, press.password);
  const receipts: Receipt[] = [];
  const owner = { kind: "machines", name: press.name } as const;
  await link.subscribe(topics.receipts(owner, "production"), (_topic, payload) => {
    receipts.push(...(JSON.parse(payload.toString()) as { receipts: Receipt[] }).receipts);
  });
  const epoch = "0102030405060708";
  const signed = (dseq: number, draft: EventDraft): SignedEvent => {
    const event = { v: 1 as const, ...draft, src: { name: press.name, app: "test", outbox: { epoch, dseq } } };
    return { event, sig: sign(press.key.privateKey, canonicalBytes(event)) };
  };
  const first = entry(1);
  const events = [
    signed(1, first),
    signed(2, { ...first, payload: { fields: { machine: "press-01", lot: "L-1", good: 999 } } }),
    { ...signed(3, entry(3)), sig: null },
  ];
  await link.publish(topics.events(owner, "production"), JSON.stringify({ v: 1, epoch, floor: 1, events }), { qos: 1 });
  await vi.waitFor(() => expect(receipts).toHaveLength(3));
  expect(receipts.map(({ status, code }) => [status, code])).toEqual([
    ["booked", undefined],
    ["quarantined", "id_conflict"],
    ["quarantined", "bad_signature"],
  ]);

  const pages = (await run("ada", "audit", "quarantine", "--json")).json() as Listed;
  expect(pages.map(({ book, rows }) => [book, rows.map(({ code, first: same }) => [code, same])])).toEqual([
    [
      "production",
      [
        ["bad_signature", null],
        ["id_conflict", 0],
      ],
    ],
    ["audit", []],
  ]);
  const listed = await run("ada", "audit", "quarantine", "list", "--book", "production", "--limit", "1");
  expect(listed.stdout).toMatch(/production +2 .* press-01 .* bad_signature/);
  expect(listed.stdout).toMatch(/More with: --book production --before 2/);

  const conflict = pages[0]?.rows[1];
  for (const which of [["1", "--book", "production"], [conflict?.sha256 ?? ""], [first.id]]) {
    const shown = (await run("ada", "audit", "quarantine", "show", ...which, "--json")).json() as { event: string }[];
    expect(shown.map(({ event }) => JSON.parse(event) as unknown)).toEqual([events[1]]);
  }
  const shown = await run("ada", "audit", "quarantine", "show", first.id);
  expect(shown.stdout).toMatch(/same id +record 0 of the book production/);
  expect(shown.stdout).toContain('"good":999');

  expect(await run("ada", "audit", "quarantine", "show", "1")).toMatchObject({ exit: 2 });
  expect(await run("ada", "audit", "quarantine", "show", "0".repeat(64))).toMatchObject({ exit: 1 });
  expect(await run("maria", "audit", "quarantine")).toMatchObject({ exit: 4 });
});
