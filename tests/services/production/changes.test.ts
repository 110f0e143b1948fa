import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Event } from "../../../lib/contracts/events.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { verifySignature } from "../../../lib/ledger/signature.ts";
import { quarantineQueries } from "../../../lib/storage/quarantine/quarantine-queries.ts";
import { addition, CALLER, type Desk, openDesk, problemOf, REASON, STORES } from "./desk.ts";
import { fields, MARIA, NOW, RUI, uuid } from "./samples.ts";

describe.each(STORES)("changes by request, on %s", (_name, open) => {
  let desk: Desk;
  beforeEach(async () => {
    desk = await openDesk(open);
  });
  afterEach(() => desk.close());

  const correct = (given: Partial<Parameters<Desk["entry-correct"]>[0]> = {}, caller = CALLER) =>
    desk["entry-correct"](
      { id: uuid(1), event: uuid(51), rev: 1, at: null, fields: fields({ good: 12 }), reason: REASON, ...given },
      caller,
    );
  const voided = (given: Partial<Parameters<Desk["entry-void"]>[0]> = {}) =>
    desk["entry-void"]({ id: uuid(1), event: uuid(61), rev: 1, reason: REASON, ...given }, CALLER);

  it("book a creation with the service's signature over the person's event", async () => {
    const { id, receipt } = await desk["entry-add"](addition(1, { good: 10 }), CALLER);
    expect({ id, status: receipt.status, seq: receipt.seq }).toEqual({ id: uuid(1), status: "booked", seq: 0 });
    const record = desk.book.open(0);
    expect(record).toMatchObject({
      via: { kind: "request", name: null, session: "s-1" },
      event: {
        id: uuid(1),
        actor: { sub: MARIA, auth: "session" },
        src: { name: "production", outbox: null },
        obj: { kind: "entry", key: uuid(1) },
      },
      added: { result: "booked", role: "supervisor", rev: 1, before: null, after: fields({ good: 10 }), flags: [] },
    });
    const signature = record?.sig?.value ?? "";
    expect(verifySignature(desk.key.publicRaw, canonicalBytes(record?.event), signature)).toBe(true);
    expect(desk.book.leafAt(0)).toBe(receipt.leaf);
  });

  it("tell audit of each record under the id of its event, in the same write", async () => {
    await desk["entry-add"](addition(1, { good: 10 }), CALLER);
    const { receipt } = await correct();
    const told = (await desk.waiting()).map(({ event }) => event);
    expect(told.map((event) => [event.id, event.type])).toEqual([
      [uuid(1), "record.booked"],
      [uuid(51), "record.booked"],
    ]);
    const { event } = desk.book.open(1) as { event: Event };
    expect(told[1]).toMatchObject({
      at: event.at,
      actor: event.actor,
      obj: event.obj,
      reason: event.reason,
      payload: {
        book: "production",
        type: "entry.corrected",
        seq: 1,
        leaf: receipt.leaf,
        result: "booked",
        code: null,
        rev: 2,
        before: fields({ good: 10 }),
        after: fields({ good: 12 }),
        role: "supervisor",
        origin: "production",
      },
    });
  });

  it("seal the text of a reason under the key of whoever gave it", async () => {
    await desk["entry-add"](addition(1), CALLER);
    await correct();
    const stored = Buffer.from(desk.book.record(1)?.bytes ?? "", "base64").toString();
    expect(stored).not.toContain("two people");
    const shown = await desk["entry-show"]({ id: uuid(1) });
    expect(shown.versions[1]?.reason).toEqual({ code: "COUNT_FIX", text: REASON.text });
    desk.personal.delete(MARIA);
    const erased = await desk["entry-show"]({ id: uuid(1) });
    expect(erased.versions[1]?.reason).toEqual({ code: "COUNT_FIX", text: null });
  });

  it("give the original receipt when the same is asked again, and book it once", async () => {
    const add = () => desk["entry-add"](addition(1), CALLER);
    const first = await add();
    desk.clock.now += 5000;
    expect(await Promise.all([add(), add()])).toEqual([first, first]);
    const corrected = await correct();
    desk.clock.now += 5000;
    expect(await correct()).toEqual(corrected);
    const gone = await voided({ rev: 2 });
    expect(await voided({ rev: 2 })).toEqual(gone);
    expect(desk.book.head().size).toBe(3);
    expect(await desk.waiting()).toHaveLength(3);
  });

  it("give the original receipt to a repetition that arrives in the same batch", async () => {
    const [one, two] = await Promise.all([
      desk["entry-add"](addition(1), CALLER),
      desk["entry-add"](addition(1), CALLER),
    ]);
    expect(two).toEqual(one);
    expect(desk.book.head().size).toBe(1);
  });

  it.each([
    ["another count", () => desk["entry-add"](addition(1, { good: 99 }), CALLER)],
    ["another time", () => desk["entry-add"]({ ...addition(1), at: "2026-11-24T11:00:00.000Z" }, CALLER)],
    ["another person", () => desk["entry-add"](addition(1), { ...CALLER, sub: RUI })],
    ["another kind of change", () => correct({ event: uuid(1) })],
  ])("refuse an id that was used before with %s", async (_what, act) => {
    await desk["entry-add"](addition(1), CALLER);
    const kept = desk.book.record(0);
    expect(await problemOf(act())).toMatchObject({ code: "id_conflict", given: uuid(1) });
    // Both are kept: the first in the book, the other whole beside it.
    expect(desk.book.record(0)).toEqual(kept);
    expect(desk.book.head().size).toBe(2);
    const { rows } = await quarantineQueries(desk)["quarantine-list"]({ limit: 20, before: null, id: uuid(1) });
    expect(rows).toMatchObject([{ seq: 1, from: "production", id: uuid(1), code: "id_conflict", first: 0 }]);
    expect(await desk["entry-totals"]({ lot: null })).toMatchObject({ entries: 1, good: 0 });
  });

  it("refuse an event id whose reason said something else", async () => {
    await desk["entry-add"](addition(1), CALLER);
    await correct();
    const other = { ...REASON, text: "something else entirely" };
    expect((await problemOf(correct({ reason: other }))).code).toBe("id_conflict");
  });

  it("let one of two corrections of the same version through, and tell the other the newest version", async () => {
    await desk["entry-add"](addition(1), CALLER);
    const [won, lost] = await Promise.allSettled([
      correct(),
      correct({ event: uuid(52), fields: fields({ good: 13 }) }),
    ]);
    expect(won.status).toBe("fulfilled");
    expect(await problemOf(lost.status === "rejected" ? Promise.reject(lost.reason) : Promise.resolve())).toMatchObject(
      {
        code: "version_conflict",
        field: "rev",
        expected: "2",
      },
    );
    expect((await desk["entry-show"]({ id: uuid(1) })).entry.fields.good).toBe(12);
  });

  it("correct the time of an entry, and keep when it was corrected", async () => {
    await desk["entry-add"](addition(1), CALLER);
    desk.clock.now += 60_000;
    await correct({ fields: fields(), at: "2026-11-24T10:00:00.000Z" });
    const { entry, versions } = await desk["entry-show"]({ id: uuid(1) });
    expect(entry.at).toBe("2026-11-24T10:00:00.000Z");
    expect(versions.map((version) => version.at)).toEqual([
      new Date(NOW).toISOString(),
      new Date(NOW + 60_000).toISOString(),
    ]);
    expect((await desk.waiting())[1]?.event.payload).toMatchObject({ at: "2026-11-24T10:00:00.000Z" });
  });

  it("leave nothing behind when they refuse", async () => {
    await desk["entry-add"](addition(1, { lot: "L-100" }), CALLER);
    const refused = await Promise.all([
      problemOf(desk["entry-add"](addition(2, { machine: "press-1" }), CALLER)),
      problemOf(correct({ fields: fields({ lot: "L-101" }) })),
      problemOf(correct({ rev: 7 })),
      problemOf(correct({ id: uuid(9) })),
      problemOf(correct({ fields: fields() })),
      problemOf(voided({ rev: 2 })),
    ]);
    expect(refused.map((problem) => problem.code)).toEqual([
      "unknown_machine",
      "unknown_lot",
      "version_conflict",
      "unknown_entry",
      "schema",
      "version_conflict",
    ]);
    expect(refused[0]?.message).toContain("Nearest: press-01");
    expect(refused[1]?.message).toContain("Nearest: L-100");
    expect(desk.book.head().size).toBe(1);
    expect(await desk.waiting()).toHaveLength(1);
    expect(await desk["entry-totals"]({ lot: null })).toMatchObject({ entries: 1, lots: 1 });
  });

  it("refuse a correction whose snapshots are larger than a record may be", async () => {
    const wide = (mark: string) =>
      Array.from({ length: 64 }, (_, index) => ({
        defect: `${index}${mark}`.padEnd(64, "\u9f8d"),
        location: "\u9f8d".repeat(64),
        pieces: 1,
      }));
    await desk["entry-add"](addition(1, { scrap: wide("a") }), CALLER);
    expect(await problemOf(correct({ fields: fields({ scrap: wide("b") }) }))).toMatchObject({
      code: "schema",
      field: "fields.scrap",
    });
    expect(desk.book.head().size).toBe(1);
  });

  it("void an entry for good", async () => {
    await desk["entry-add"](addition(1, { good: 10 }), CALLER);
    expect(await voided()).toMatchObject({ id: uuid(1), rev: 2, receipt: { id: uuid(61), seq: 1 } });
    expect(await desk["entry-totals"]({ lot: "L-100" })).toMatchObject({ good: 0, entries: 0, voided: 1, lots: 0 });
    expect((await problemOf(correct({ rev: 2 }))).code).toBe("entry_voided");
    const { entry, versions } = await desk["entry-show"]({ id: uuid(1) });
    expect([entry.state, entry.fields.good]).toEqual(["voided", 10]);
    expect(versions.map((version) => [version.type, version.fields.good])).toEqual([
      ["entry.created", 10],
      ["entry.voided", 10],
    ]);
  });

  it("need a key for the text of a reason", async () => {
    await desk["entry-add"](addition(1), CALLER);
    expect((await problemOf(correct({}, { ...CALLER, sub: RUI }))).code).toBe("not_allowed");
  });
});
