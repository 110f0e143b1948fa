import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { v7 } from "uuid";
import { describe, expect, it, onTestFinished } from "vitest";
import type { EventDraft } from "../../../../lib/contracts/events.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { keys } from "../../../../lib/storage/keys.ts";
import { bookOwnEvent } from "../../../../lib/storage/book/own-event.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { beginningOf, endOf, type Trouble } from "../../../../services/audit/witnesses/troubles.ts";
import type { WitnessRow } from "../../../../services/audit/witnesses/membership.ts";
import { openWitnessView, type WitnessView } from "../../../../services/audit/witnesses/view.ts";

const self = { name: "audit", app: "audit@test", sign: null, key: "", tz: "UTC", now: Date.now };
const admission = { vkey: "w+00000000+BA==", url: null, host: null };
const degraded: Trouble = {
  type: "witness.quorum-degraded",
  book: "audit",
  witness: null,
  message: "No quorum.",
  notes: null,
};
const conflict: Trouble = {
  type: "witness.conflict",
  book: "production",
  witness: "ipc-01",
  message: "Two histories.",
  notes: { held: "one note", offered: "another" },
};

async function openBook(given?: Store) {
  const store = given ?? (await Store.inMemory());
  const book = await Book.open({ store, name: "audit", origin: "plant-test/audit" });
  const tell = (told: Pick<EventDraft, "type" | "obj" | "payload"> & Partial<EventDraft>, code: string | null = null) =>
    store.write((tx) => {
      const added = { result: code === null ? ("booked" as const) : ("refused" as const), code };
      bookOwnEvent({ book, self, newId: v7 }, tx, new Date().toISOString(), added, told);
    });
  return { store, book, tell };
}

const about = (key: string) => ({ kind: "witness", key });
const said = (view: WitnessView) => ({ rows: view.rows(), open: view.open(), losses: view.losses("audit") });

describe("what the audit book says of its witnesses", () => {
  it("is the same from its batches, after a start, and made again from the records", async () => {
    const { store, book, tell } = await openBook();
    const view = await openWitnessView({ store, book });
    const changed: string[] = [];
    view.onChange((name) => changed.push(name));
    await tell({ type: "witness.admitted", obj: about("ipc-01"), payload: admission });
    await tell({ type: "witness.admitted", obj: about("ipc-02"), payload: admission });
    const actor = { sub: `p-${"a".repeat(32)}`, auth: "session" as const };
    await tell({ type: "witness.removed", obj: about("ipc-02"), payload: {}, actor });
    await tell(beginningOf(degraded));
    await tell(beginningOf(conflict));
    await tell(endOf(degraded, "There again."));
    const payload = { book: "audit", size: 3, seen: [{ by: "ipc-01", size: 9 }] };
    await tell({ type: "book.loss-accepted", obj: { kind: "book", key: "audit" }, payload });
    await tell({ type: "witness.admitted", obj: about("ipc-03"), payload: admission }, "not_allowed");

    expect(changed).toEqual(["ipc-01", "ipc-02", "ipc-02"]);
    expect(view.rows()).toMatchObject([
      { name: "ipc-01", admitted: { byHand: false, seq: 0 }, barred: false },
      { name: "ipc-02", admitted: null, barred: true },
    ]);
    expect(view.open()).toEqual([conflict]);
    expect(view.losses("audit")).toEqual({ "ipc-01": 9 });

    expect(said(await openWitnessView({ store, book }))).toEqual(said(view));
    const stored: Buffer[] = [];
    for await (const [key] of store.range({ gte: keys.view("witnesses/"), lt: keys.view("witnesses0") }))
      stored.push(key);
    expect(stored.length).toBeGreaterThan(3);
    await store.write((tx) => stored.forEach((key) => tx.del(key)));
    expect(said(await openWitnessView({ store, book }))).toEqual(said(view));
  });

  it("says of which witnesses the machine was revoked, and of no other machine", async () => {
    const { store, book, tell } = await openBook();
    const view = await openWitnessView({ store, book });
    const changed: string[] = [];
    view.onChange((name) => changed.push(name));
    await tell({ type: "witness.admitted", obj: about("ipc-01"), payload: admission });
    const machine = (key: string) => ({ kind: "machine", key });
    await tell({ type: "machine.revoked", obj: machine("ipc-02"), payload: {} });
    await tell({ type: "machine.revoked", obj: machine("ipc-01"), payload: {} }, "not_allowed");
    expect(view.row("ipc-01")?.revoked).toBeNull();
    await tell({ type: "machine.revoked", obj: machine("ipc-01"), payload: {} });
    expect(view.row("ipc-01")?.revoked).toEqual({ seq: 3, now: true });
    await tell({ type: "machine.readmitted", obj: machine("ipc-01"), payload: {} });
    expect(view.rows()).toMatchObject([{ name: "ipc-01", revoked: { seq: 3, now: false } }]);
    expect(changed).toEqual(["ipc-01", "ipc-01", "ipc-01"]);
    expect(said(await openWitnessView({ store, book }))).toEqual(said(view));
  });

  it("is shown as it was where the store takes no writes", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rastro-view-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const { store, book, tell } = await openBook(await Store.openFolder(folder));
    const before = await openWitnessView({ store, book });
    await tell({ type: "witness.admitted", obj: about("ipc-01"), payload: admission });
    const shown = said(before);
    await tell({ type: "agent.started", obj: about("ipc-02"), payload: {} });
    await store.close();

    const copy = await Store.openFolder(folder, { readOnly: true });
    const repaired = "it was cut short";
    const damaged = await Book.open({ store: copy, name: "audit", origin: "plant-test/audit", repaired });
    expect(said(await openWitnessView({ store: copy, book: damaged }))).toEqual(shown);
    await copy.close();
  });

  it("is shown of a damaged book too that an older version has left, which knew of nobody who was revoked", async () => {
    const { store, book, tell } = await openBook();
    const view = await openWitnessView({ store, book });
    await tell({ type: "witness.admitted", obj: about("ipc-01"), payload: admission });
    const shown = view.rows();
    const key = keys.view("witnesses/rows/ipc-01");
    const { revoked: _revoked, ...older } = shown[0] as WitnessRow;
    await store.write((tx) => tx.put(key, Buffer.from(JSON.stringify(older))));
    const damaged = await Book.open({ store, name: "audit", origin: "plant-test/audit", repaired: "Unreadable" });
    expect((await openWitnessView({ store, book: damaged })).rows()).toEqual(shown);
  });

  it("is not what a machine says of others: only its own offer is taken", async () => {
    const { store, book, tell } = await openBook();
    const view = await openWitnessView({ store, book });
    await tell({ type: "witness.offered", obj: about("ipc-09"), payload: { vkey: admission.vkey, host: null } });
    expect(view.rows()).toEqual([]);
  });
});
