import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { toProblem } from "../../../lib/contracts/errors.ts";
import { parseReports, readReports } from "../../../tools/replay/read-reports.ts";
import { COLUMNS, machineId } from "../../../tools/replay/work-report.ts";

const FIXTURE = join(import.meta.dirname, "work-reports.csv");
const HEADER = COLUMNS.join(",");
const ROW = "Order 7,60,Bushing,Turning,Lathe 2,W-11,D,2026-03-02T07:10:00,2026-03-02T12:00:00,31,2,0,";

function problemOf(text: string) {
  try {
    parseReports(text, "reports.csv");
  } catch (error) {
    return toProblem(error);
  }
  throw new Error("the file was taken");
}

/** The row with another value in one column. */
function withValue(column: string, value: string): string {
  const cells = ROW.split(",");
  cells[COLUMNS.indexOf(column)] = value;
  return cells.join(",");
}

describe("a file of work reports", () => {
  it("is read with quotes, umlauts, empty cells and lines", async () => {
    const reports = await readReports(FIXTURE);
    expect(reports).toHaveLength(9);
    expect(reports[7]).toEqual({
      line: 9,
      report: {
        order: "Order 9",
        order_quantity: null,
        part: "Cover, left",
        activity: 'Final "A" check',
        machine: "Oven",
        worker: "",
        report_type: "D",
        start: Date.parse("2026-03-01T22:00:00Z"),
        end: Date.parse("2026-03-01T23:59:59Z"),
        completed: 0,
        rejected: 1,
        review: 6,
        rework: "N",
      },
    });
  });

  it("may have its columns in another order, a byte order mark, CRLF and blank lines", () => {
    const turned = (line: string) => line.split(",").toReversed().join(",");
    const text = `\uFEFF${turned(HEADER)}\r\n\r\n${turned(ROW)}\r\n`;
    expect(parseReports(text, "f")).toMatchObject([{ line: 3, report: { order: "Order 7", completed: 31 } }]);
  });

  it.each([
    ["completed", "3.5", "a whole number from 0 to 10,000,000"],
    ["completed", "", "a whole number from 0 to 10,000,000"],
    ["rejected", "-1", "a whole number from 0 to 10,000,000"],
    ["review", "10000001", "a whole number from 0 to 10,000,000"],
    ["order_quantity", "many", "a whole number from 0 to 10,000,000"],
    ["report_type", "X", "D, S or B"],
    ["rework", "yes", "Y, N or nothing"],
    ["order", " ", "at least one character"],
    ["part", "a\u0007b", "no control characters"],
    ["machine", "---", "a name with a letter or digit in it"],
    ["start", "2026-03-02T07:10:00Z", "without a zone"],
    ["end", "2026-02-30T07:10:00", "a local date and time"],
    ["end", "1970-12-31T23:59:59", "from 1971 on"],
    ["end", "02.03.2026 07:10", "a local date and time"],
    ["end", "2026-03-02T07:09:59", "a time that is not before start"],
  ])("is refused for %s %j, by line, column, value and expectation", (column, value, expected) => {
    const problem = problemOf([HEADER, ROW, withValue(column, value), ROW].join("\n"));
    expect(problem).toMatchObject({ code: "schema", field: `line 3.${column}` });
    expect(problem.expected).toContain(expected);
    expect(problem.message).toContain("nothing was sent: line 3: ");
    expect(problem.message).not.toContain("\n");
  });

  it("is refused with the lines of all faults", () => {
    const bad = withValue("completed", "x");
    const problem = problemOf([HEADER, ROW, bad, ROW, bad, bad].join("\n"));
    expect(problem.message).toContain("line 3: completed is");
    expect(problem.message).toContain("(faults also on 2 other lines: 5, 6)");
  });

  it.each([
    ["a column missing", HEADER.replace(",rework", ""), "line 1.rework", "missing"],
    ["a column that nobody knows", `${HEADER},colour`, "line 1.colour", "one column too many"],
    ["a column twice", `${HEADER},rework`, "line 1.rework", "one column too many"],
  ])("is refused with %s", (_what, header, field, given) => {
    expect(problemOf(`${header}\n${ROW}\n`)).toMatchObject({ code: "schema", field, given });
  });

  it.each([
    ["a row that is too short", `${HEADER}\n${ROW}\nOrder 7,60\n`, "line 3"],
    ["a row that is too long", `${HEADER}\n${ROW},,\n`, "line 2"],
    ["a quote that is not closed", `${HEADER}\n${ROW}\n"Order 7,60\n`, "line "],
    ["no row", `${HEADER}\n`, "line 2"],
    ["nothing in it", "", "line "],
  ])("is refused with %s", (_what, text, field) => {
    expect(problemOf(text)).toMatchObject({ code: "schema", field: expect.stringContaining(field) });
  });

  it("is refused when two machines would have one id", () => {
    const problem = problemOf([HEADER, ROW, withValue("machine", "LATHE-2"), ROW].join("\n"));
    expect(problem).toMatchObject({ field: "line 3.machine", given: '"LATHE-2"' });
    expect(problem.expected).toContain('lathe-2, which "Lathe 2" has already');
  });

  it("that is not there, or not UTF-8, is named", async () => {
    await expect(readReports("/nowhere/reports.csv")).rejects.toMatchObject({ code: "bad_setting" });
    await expect(readReports(process.execPath)).rejects.toMatchObject({ code: "malformed" });
  });
});

describe("the id of a machine", () => {
  it.each([
    ["Machine 3 - Round Grinding", "machine-3-round-grinding"],
    ["Machine 7- Laser Marking", "machine-7-laser-marking"],
    ["Turning & Milling", "turning-milling"],
    ["  Bench Ünal/1 ", "bench-unal-1"],
    ["x".repeat(62) + "--y", "x".repeat(62)],
  ])("of %j is %s", (name, id) => {
    expect(machineId(name)).toBe(id);
  });
});
