import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CSV_HEADER, csvRow } from "../../../tools/export/csv-row.ts";
import { csvLine } from "../../../tools/export/csv.ts";
import { leafHash } from "../../../lib/ledger/hash.ts";

describe("a line of CSV", () => {
  it.each([
    ["=1+1", "'=1+1"],
    ["+55 11", "'+55 11"],
    ["-5", "'-5"],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["\t=1", "'\t=1"],
    ["\r=1", '"\'\r=1"'],
    ["＝1", "'＝1"],
    ['=HYPERLINK("http://x";"y")', '"\'=HYPERLINK(""http://x"";""y"")"'],
    ["a=1", "a=1"],
    ["a,b", '"a,b"'],
    ['say "so"', '"say ""so"""'],
    ["two\nlines", '"two\nlines"'],
    ["", ""],
  ])("makes %j no formula", (cell, written) => {
    expect(csvLine([cell], ",")).toBe(`${written}\r\n`);
  });

  it("leaves numbers what they are, and quotes the separator in use", () => {
    expect(csvLine([-3, 0, 12, null, "a;b", "a,b"], ";")).toBe('-3;0;12;;"a;b";a,b\r\n');
  });

  it("is read by others as it was meant, and no cell begins as a formula does", () => {
    const cell = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("=1", "+1", "-1", "@a", "\t", "\r\n", '"', ";"),
    );
    fc.assert(
      fc.property(
        fc.array(cell, { minLength: 2, maxLength: 6 }),
        fc.constantFrom(",", ";", "\t"),
        (cells, separator) => {
          const [read = []] = parse(csvLine(cells, separator), {
            delimiter: separator,
            record_delimiter: "\r\n",
          });
          expect(read.map((text, at) => (text === cells[at] ? text : text.slice(1)))).toEqual(cells);
          expect(read.every((text) => !/^[=+\-@\t\r\n]/.test(text))).toBe(true);
        },
      ),
    );
  });
});

describe("a row of an export", () => {
  const entry = {
    machine: "press-1",
    lot: "L-1",
    order: null,
    good: 480,
    scrap: [
      { defect: "dent", pieces: 3 },
      { defect: "burr", pieces: null },
    ],
  };
  const event = {
    id: "e-1",
    type: "entry.corrected",
    at: "2026-11-24T05:44:05.000Z",
    actor: { sub: "p-1", auth: "session" },
    src: { name: "production" },
    obj: { kind: "entry", key: "e-0" },
    reason: { code: "COUNT_FIX" },
    payload: {},
  };
  const added = {
    result: "booked",
    code: null,
    role: "supervisor",
    rev: 2,
    before: null,
    after: entry,
    flags: ["late"],
  };
  const row = (record: object, words = { who: "maria", text: "Two counted twice" }) => {
    const text = JSON.stringify(record);
    const cells = csvRow({ seq: 7, record: text, ...words });
    const named = Object.fromEntries(CSV_HEADER.map((name, at) => [name, cells[at]]));
    expect(named["leaf"]).toBe(leafHash(Buffer.from(text)).toString("hex"));
    return named;
  };

  it("says who did what to which entry, when and why, and what it counts from then on", () => {
    expect(row({ recv: "2026-11-24T05:44:10.000Z", event, added })).toMatchObject({
      seq: 7,
      at: event.at,
      received: "2026-11-24T05:44:10.000Z",
      type: "entry.corrected",
      result: "booked",
      who: "maria",
      actor: "p-1",
      role: "supervisor",
      reported_by: "production",
      object: "e-0",
      version: 2,
      machine: "press-1",
      lot: "L-1",
      order: null,
      good: 480,
      scrap: 3,
      defects: "dent 3, burr ?",
      reason_code: "COUNT_FIX",
      reason: "Two counted twice",
      flags: "late",
      event: "e-1",
    });
  });

  it("says of a record that tells of another book's what that one says", () => {
    const payload = {
      type: "entry.voided",
      result: "refused",
      code: "entry_voided",
      before: entry,
      after: null,
      rev: null,
    };
    const told = row({ event: { ...event, type: "record.booked", payload }, added: { ...added, after: null } });
    expect(told).toMatchObject({ type: "entry.voided", result: "refused", code: "entry_voided", good: 480 });
  });

  it("leaves empty what a record does not have", () => {
    const bare = row({ event: { type: "session.ended", payload: { machine: "ipc-07" } } }, {
      who: null,
      text: null,
    } as never);
    expect(bare).toMatchObject({ type: "session.ended", machine: "ipc-07", good: null, scrap: null, who: null });
  });
});
