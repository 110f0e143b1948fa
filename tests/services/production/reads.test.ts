import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OPERATIONS } from "../../../lib/contracts/operations.ts";
import { addition, CALLER, type Desk, openDesk, problemOf, REASON, STORES } from "./desk.ts";
import { fields, MARIA, uuid } from "./samples.ts";

describe.each(STORES)("reading, on %s", (_name, open) => {
  let desk: Desk;
  beforeEach(async () => {
    desk = await openDesk(open);
  });
  afterEach(() => desk.close());

  const page = (given: Partial<Parameters<Desk["entry-list"]>[0]> = {}) =>
    desk["entry-list"]({ lot: null, limit: 50, after: null, ...given });
  const add = (number: number, given: Parameters<typeof fields>[0] = {}) =>
    desk["entry-add"](addition(number, given), CALLER);

  it("lists newest first, page by page, until there is no next", async () => {
    for (let number = 1; number <= 5; number++) await add(number);
    const first = await page({ limit: 2 });
    const second = await page({ limit: 2, after: first.next });
    const third = await page({ limit: 2, after: second.next });
    expect([first, second, third].map((one) => one.entries.map((entry) => entry.id))).toEqual([
      [uuid(5), uuid(4)],
      [uuid(3), uuid(2)],
      [uuid(1)],
    ]);
    expect(third.next).toBeNull();
    expect((await page({ limit: 5 })).next).toBeNull();
  });

  it("is not moved by entries that come while somebody pages", async () => {
    for (let number = 1; number <= 4; number++) await add(number);
    const first = await page({ limit: 2 });
    await add(5);
    expect((await page({ limit: 2, after: first.next })).entries.map((entry) => entry.id)).toEqual([uuid(2), uuid(1)]);
  });

  it("lists a lot's entries, where corrections have put them", async () => {
    await add(1, { lot: "L-1" });
    await add(2, { lot: "L-10" });
    await add(3, { lot: "L-1" });
    const moved = { id: uuid(1), event: uuid(51), rev: 1, at: null, fields: fields({ lot: "L-10" }), reason: REASON };
    await desk["entry-correct"](moved, CALLER);
    const idsOf = async (lot: string) => (await page({ lot })).entries.map((entry) => entry.id);
    expect(await idsOf("L-1")).toEqual([uuid(3)]);
    expect(await idsOf("L-10")).toEqual([uuid(2), uuid(1)]);
  });

  it("knows a lot that lost its last entry, and no lot that never had one", async () => {
    await add(1, { lot: "L-1" });
    await add(2, { lot: "L-2" });
    const moved = { id: uuid(1), event: uuid(51), rev: 1, at: null, fields: fields({ lot: "L-2" }), reason: REASON };
    await desk["entry-correct"](moved, CALLER);
    expect((await page({ lot: "L-1" })).entries).toEqual([]);
    expect(await desk["entry-totals"]({ lot: "L-1" })).toMatchObject({ entries: 0, lots: 0 });
    for (const ask of [() => page({ lot: "L-3" }), () => desk["entry-totals"]({ lot: "L-3" })]) {
      const problem = await problemOf(ask());
      expect(problem).toMatchObject({ code: "unknown_lot", field: "lot", given: "L-3" });
      expect(problem.message).toContain("Nearest: L-1, L-2.");
    }
  });

  it.each(["zz", "00", "ffffffffffffffffff"])("refuses %j as a cursor", async (after) => {
    expect(await problemOf(page({ after }))).toMatchObject({ code: "schema", field: "after" });
  });

  it("adds up of all and of one lot", async () => {
    await add(1, { good: 10, order: "O-1", scrap: [{ defect: "dent", pieces: 2 }] });
    await add(2, { good: 5, order: "O-1", machine: "press-02", rework: 1, review: 4 });
    await add(3, { good: 7, lot: "L-200" });
    expect(await desk["entry-totals"]({ lot: null })).toEqual({
      good: 22,
      scrap: 2,
      rework: 1,
      review: 4,
      orders: 1,
      machines: 2,
      lots: 2,
      entries: 3,
      voided: 0,
    });
    expect(await desk["entry-totals"]({ lot: "L-200" })).toMatchObject({
      good: 7,
      orders: 0,
      machines: 1,
      lots: 1,
      entries: 1,
    });
  });

  it("gives the receipt of each entry that is in the book, in the order of the question", async () => {
    await add(1);
    await add(2);
    const { receipts } = await desk["entry-receipts"]({ ids: [uuid(2), uuid(9), uuid(1)] });
    expect(receipts).toMatchObject([{ id: uuid(2), seq: 1, status: "booked" }, null, { id: uuid(1), seq: 0 }]);
  });

  it.each([
    ["gateway-1", { unknown: ["press-09", "press-77", "maria"], notSpokenFor: ["press-01"] }],
    ["press-01", { unknown: ["press-09", "press-77", "maria"], notSpokenFor: ["press-02", "gateway-1"] }],
    ["nobody", { unknown: ["press-09", "press-77", "maria"], notSpokenFor: ["press-01", "press-02", "gateway-1"] }],
  ])("says for which machines entries of %s would be refused", async (reporter, found) => {
    const machines = ["press-01", "press-02", "press-09", "press-77", "maria", "gateway-1"];
    expect(await desk["report-check"]({ reporter, machines })).toEqual(found);
  });

  it("shows who made each version, how it came and what it said, as the contract has it", async () => {
    await add(1, { good: 1 });
    await desk["entry-correct"](
      { id: uuid(1), event: uuid(51), rev: 1, at: null, fields: fields({ good: 2 }), reason: REASON },
      CALLER,
    );
    const shown = await desk["entry-show"]({ id: uuid(1) });
    expect(OPERATIONS.production["entry-show"].response.parse(shown)).toEqual(shown);
    expect(shown.entry).toMatchObject({ rev: 2, fields: { good: 2 }, receipt: { seq: 1, status: "booked" } });
    expect(shown.versions).toMatchObject([
      { rev: 1, event: uuid(1), seq: 0, actor: MARIA, who: "maria", via: "request", fields: { good: 1 }, reason: null },
      {
        rev: 2,
        event: uuid(51),
        seq: 1,
        actor: MARIA,
        who: "maria",
        fields: { good: 2 },
        reason: { code: "COUNT_FIX" },
      },
    ]);
  });

  it("does not show what is not there", async () => {
    expect(await problemOf(desk["entry-show"]({ id: uuid(8) }))).toMatchObject({
      code: "unknown_entry",
      given: uuid(8),
    });
  });
});
