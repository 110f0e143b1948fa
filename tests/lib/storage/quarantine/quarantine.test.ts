import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { sha256 } from "../../../../lib/ledger/hash.ts";
import { jsonText } from "../../../../lib/storage/quarantine/json-text.ts";
import { type QuarantineQueries, quarantineQueries } from "../../../../lib/storage/quarantine/quarantine-queries.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { eventOf, idOf, principalOf, signer } from "../../../suites/events.ts";
import { type IntakeParts, openIntake } from "../../../suites/intake-parts.ts";

const EPOCH = "0102030405060708";
const machine = signer("ipc-07");
const service = signer("production");

describe("what a book has set apart", () => {
  let parts: IntakeParts;
  let queries: QuarantineQueries;
  beforeEach(async () => {
    const store = await Store.inMemory();
    onTestFinished(() => store.close());
    parts = await openIntake(store, { service, principals: [principalOf(machine), principalOf(service)] });
    queries = quarantineQueries(parts);
  });

  const send = (...events: unknown[]) => parts.intake.receive(machine.name, { v: 1, epoch: EPOCH, floor: 1, events });
  const page = (o: { limit?: number; before?: number | null; id?: string | null } = {}) =>
    queries["quarantine-list"]({ limit: 20, before: null, id: null, ...o });
  const whole = async (sha: string) => {
    const pieces: Buffer[] = [];
    for (let offset: number | null = 0; offset !== null;) {
      const answer = await queries["quarantine-show"]({ sha256: sha, offset });
      pieces.push(Buffer.from(answer.piece, "base64"));
      offset = answer.next;
    }
    return Buffer.concat(pieces).toString();
  };

  it("has both of a conflict: the first in the book, the other whole beside it", async () => {
    const [first, other] = [eventOf(machine, EPOCH, 1), eventOf(machine, EPOCH, 1, { payload: { good: 999 } })];
    await send(first);
    await send(other);
    const { rows } = await page();
    expect(rows).toMatchObject([{ seq: 1, from: "ipc-07", id: idOf(1), code: "id_conflict", first: 0 }]);
    expect(parts.book.open(0)).toMatchObject({ event: { payload: { good: 1 } } });
    expect(JSON.parse(await whole(rows[0]?.sha256 ?? ""))).toEqual(other);
  });

  it("has a wrong signature, sequence or form with its code, each told of by a record", async () => {
    await send(eventOf(machine, EPOCH, 1), eventOf(machine, EPOCH, 2));
    await send({ ...eventOf(machine, EPOCH, 3), sig: null }, eventOf(machine, EPOCH, 2, { id: idOf(77) }), "junk");
    const { rows } = await page();
    expect(rows.map(({ code, first }) => [code, first])).toEqual([
      ["schema", null],
      ["sequence_reused", null],
      ["bad_signature", null],
    ]);
    const told = parts.events("event.quarantined").map(({ payload }) => payload["sha256"]);
    expect(rows.map((row) => row.sha256).toReversed()).toEqual(told);
  });

  it("is listed newest first, in pages, and by the id that it claims", async () => {
    await send(...Array.from({ length: 7 }, (_, n) => ({ event: { id: n === 3 ? "mine" : `other-${n}` } })));
    expect((await page()).before).toBeNull();
    const first = await page({ limit: 3 });
    expect(first.rows.map(({ seq }) => seq)).toEqual([6, 5, 4]);
    const second = await page({ limit: 3, before: first.before });
    expect(second.rows.map(({ seq }) => seq)).toEqual([3, 2, 1]);
    expect((await page({ limit: 3, before: second.before })).rows.map(({ seq }) => seq)).toEqual([0]);
    expect((await page({ id: "mine" })).rows.map(({ seq, id }) => [seq, id])).toEqual([[3, "mine"]]);
  });

  it("is found by the record that tells of it, and nothing else is", async () => {
    await send(eventOf(machine, EPOCH, 1), "junk");
    const digest = sha256(Buffer.from('"junk"')).toString("hex");
    expect(await queries["quarantine-show"]({ seq: 1, offset: 0 })).toMatchObject({ row: { sha256: digest } });
    for (const wanted of [{ seq: 0 }, { seq: 9 }, { sha256: "0".repeat(64) }]) {
      await expect(queries["quarantine-show"]({ ...wanted, offset: 0 })).rejects.toMatchObject({
        code: "unknown_record",
      });
    }
  });

  it("is whole, however large and however deeply nested it came", async () => {
    const large = { event: { id: "large", payload: "ü".repeat(150_000) } };
    const deep = JSON.parse(`{"a":${"[".repeat(100_000)}1,"x"${"]".repeat(100_000)}}`) as unknown;
    await send(large, deep);
    const { rows } = await page();
    expect(await whole(rows[1]?.sha256 ?? "")).toBe(JSON.stringify(large));
    expect(await whole(rows[0]?.sha256 ?? "")).toBe(`{"a":${"[".repeat(100_000)}1,"x"${"]".repeat(100_000)}}`);
  });

  it("leaves no word of what it said in the book", async () => {
    const good = eventOf(machine, EPOCH, 1);
    await send(
      { ...good, event: { ...good.event, "Maria Silva": 1 } },
      { ...good, "Maria Silva": 1 },
      { event: { ...good.event, id: "Maria Silva" }, sig: good.sig },
      { event: { ...good.event, tz: "Maria Silva".repeat(50) }, sig: good.sig },
      { event: { ...good.event, src: { ...good.event.src, name: "maria-silva" } }, sig: good.sig },
      { event: { ...good.event, payload: { "Maria Silva": 0.5 } }, sig: good.sig },
      { event: { ...good.event, reason: { code: "x", text: "Maria Silva" } }, sig: good.sig },
    );
    expect((await page()).rows).toHaveLength(7);
    expect(JSON.stringify(parts.events())).not.toMatch(/maria.silva/i);
  });
});

describe("the JSON of what came", () => {
  it("is the same with and without recursion", () => {
    const value = { a: [1, { b: '"\\ü\ud800' }, [], {}], "": null, c: true, d: [[[]]] };
    const deep = JSON.parse(`${"[".repeat(20_000)}${JSON.stringify(value)}${"]".repeat(20_000)}`) as unknown;
    expect(jsonText(deep)).toBe(`${"[".repeat(20_000)}${JSON.stringify(value)}${"]".repeat(20_000)}`);
    expect(jsonText(value)).toBe(JSON.stringify(value));
  });
});
