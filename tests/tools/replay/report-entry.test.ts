import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Uuid7 } from "../../../lib/contracts/names.ts";
import type { ReportLine } from "../../../tools/replay/read-reports.ts";
import { readReports } from "../../../tools/replay/read-reports.ts";
import { entriesOf } from "../../../tools/replay/report-entry.ts";
import type { WorkReport } from "../../../tools/replay/work-report.ts";
import { openZone } from "../../../tools/replay/zone.ts";

const FIXTURE = join(import.meta.dirname, "work-reports.csv");
const LISBON = openZone("Europe/Lisbon");

const text = fc.constantFrom("Order 1", "Order 2", "Lathe", "Oven");
const report: fc.Arbitrary<WorkReport> = fc.record({
  order: text,
  order_quantity: fc.option(fc.nat(3)),
  part: text,
  activity: text,
  machine: text,
  worker: text,
  report_type: fc.constantFrom("D", "S", "B"),
  start: fc.constant(0),
  end: fc.nat(2).map((hour) => Date.UTC(2026, 2, 2, hour)),
  completed: fc.nat(2),
  rejected: fc.nat(2),
  review: fc.nat(1),
  rework: fc.constantFrom("", "Y", "N"),
});
const lines = (reports: WorkReport[]): ReportLine[] => reports.map((one, index) => ({ line: index + 2, report: one }));

describe("the entries of a file", () => {
  it("say what the rows say, oldest first, without who worked", async () => {
    const entries = entriesOf(await readReports(FIXTURE), LISBON);
    expect(entries.map(({ line, at }) => `${line} ${at}`)).toEqual([
      "9 2026-03-01T23:59:59.000Z",
      "2 2026-03-02T07:10:00.000Z",
      "5 2026-03-02T09:00:00.000Z",
      "6 2026-03-02T09:00:00.000Z",
      "7 2026-03-02T09:00:00.000Z",
      "8 2026-03-02T10:20:00.000Z",
      "3 2026-03-02T12:00:00.000Z",
      "4 2026-03-02T15:30:00.000Z",
      "10 2026-03-03T06:00:00.000Z",
    ]);
    expect(entries[0]).toMatchObject({
      tz: "Europe/Lisbon",
      fields: {
        machine: "oven",
        lot: "Order 9",
        order: "Order 9",
        product: "Cover, left",
        operation: 'Final "A" check',
        good: 0,
        rework: 0,
        review: 6,
        scrap: [{ defect: "unspecified", location: null, pieces: 1, occurrences: 1 }],
        report: { type: "production", rework: false },
        source: "import",
      },
    });
    expect(entries.map(({ fields }) => fields.report?.type)).toEqual([
      "production",
      "set-up",
      ...Array.from({ length: 6 }, () => "production"),
      "breakdown",
    ]);
    expect(entries.filter(({ fields }) => fields.report?.rework).map(({ line }) => line)).toEqual([8]);
    expect(JSON.stringify(entries)).not.toMatch(/W-1\d/);
  });

  it("keep their ids for good", async () => {
    const ids = entriesOf(await readReports(FIXTURE), LISBON).map(({ id }) => id);
    // Fixed: another value here means that a file that was replayed before would be booked a second time.
    expect(createHash("sha256").update(ids.join()).digest("hex")).toBe(
      "66c3687ba378d08fddf7a5d46c581120b826e3a1298bad0bc2ad666562812926",
    );
  });

  it("have ids of version 7 with the time in them, all different, the same each time, whatever the order of the rows", () => {
    fc.assert(
      fc.property(fc.array(report, { maxLength: 12 }), (reports) => {
        const entries = entriesOf(lines(reports), LISBON);
        const ids = entries.map(({ id }) => id);
        expect(new Set(ids).size).toBe(reports.length);
        for (const { id, at } of entries) {
          expect(Uuid7.safeParse(id).success).toBe(true);
          expect(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16)).toBe(Date.parse(at));
        }
        expect(entriesOf(lines(reports), LISBON)).toEqual(entries);
        const turned = entriesOf(lines(reports.toReversed()), LISBON).map(({ id }) => id);
        expect(turned.toSorted()).toEqual(ids.toSorted());
      }),
    );
  });

  it("have the same ids whoever worked: a hash of some dozens of names could be tried out", () => {
    fc.assert(
      fc.property(report, fc.string(), (one, worker) => {
        expect(entriesOf(lines([{ ...one, worker }]), LISBON)).toEqual(entriesOf(lines([one]), LISBON));
      }),
    );
  });

  it("have other ids when anything else is different", () => {
    fc.assert(
      fc.property(report, report, (one, other) => {
        const same = JSON.stringify({ ...one, worker: "" }) === JSON.stringify({ ...other, worker: "" });
        const [[first], [second]] = [entriesOf(lines([one]), LISBON), entriesOf(lines([other]), LISBON)];
        expect(first?.id === second?.id).toBe(same);
      }),
    );
  });
});
