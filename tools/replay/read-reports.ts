import { readFile } from "node:fs/promises";
import { CsvError, parse } from "csv-parse/sync";
import { RastroError } from "../../lib/contracts/errors.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { COLUMNS, machineId, WorkReport } from "./work-report.ts";

/** A report and the line of the file on which it ends. */
export type ReportLine = { line: number; report: WorkReport };

/** What does not fit in the file. */
type Fault = { line: number; field: string; given: string; expected: string };

/** Further lines that a message names. */
const LINES_NAMED = 10;

/**
 * Reads a file of work reports (RFC 4180, with a header line, UTF-8) and checks all of it.
 *
 * @throws RastroError `schema` that names the first fault by line, column, value and expectation, and the lines of the
 *   others; `bad_setting` when the file cannot be read.
 */
export async function readReports(file: string): Promise<ReportLine[]> {
  return parseReports(await contentOf(file), file);
}

/** As {@link readReports}, of text that is there already. */
export function parseReports(text: string, file: string): ReportLine[] {
  const faults: Fault[] = [];
  const reports: ReportLine[] = [];
  for (const { line, row } of rowsOf(text, file)) {
    const read = reportOf(line, row);
    if ("report" in read) reports.push(read);
    else faults.push(read);
  }
  faults.push(...twoNamesOfOneId(reports));
  if (faults.length > 0)
    throw refusal(
      file,
      faults.toSorted((one, other) => one.line - other.line),
    );
  if (reports.length === 0) throw refusal(file, [{ line: 2, field: "", given: "missing", expected: "a work report" }]);
  return reports;
}

async function contentOf(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new RastroError(
      { code: "bad_setting", message: `Reading ${file} failed (${code}).`, given: file, expected: "a CSV file" },
      { cause },
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const message = `Reading ${file} failed: it is not UTF-8; expected: CSV in UTF-8.`;
    throw new RastroError({ code: "malformed", message, given: file, expected: "CSV in UTF-8" }, { cause });
  }
}

type Row = Record<string, string>;

function rowsOf(text: string, file: string): { line: number; row: Row }[] {
  try {
    const options = {
      bom: true,
      info: true,
      skip_empty_lines: true,
      columns: (names: string[]) => checkedColumns(names),
    };
    const parsed = parse(text, options) as unknown as { info: { lines: number }; record: Row }[];
    return parsed.map(({ info, record }) => ({ line: info.lines, row: record }));
  } catch (error) {
    if (error instanceof ColumnFault) throw refusal(file, [error.fault]);
    if (!(error instanceof CsvError)) throw error;
    const line = Number(error["lines"] ?? 1);
    throw refusal(file, [
      { line, field: "", given: error.message, expected: "CSV by RFC 4180, as wide as its header" },
    ]);
  }
}

class ColumnFault extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.expected);
    this.fault = fault;
  }
}

/** Columns may stand in any order; those that nobody knows are refused, since what they say would be lost unseen. */
function checkedColumns(given: string[]): string[] {
  const names = given.map((name) => name.trim());
  const missing = COLUMNS.find((column) => !names.includes(column));
  const foreign = names.find((name, index) => !COLUMNS.includes(name) || names.indexOf(name) !== index);
  const expected = `the columns ${COLUMNS.join(",")}, each once`;
  if (missing !== undefined) throw new ColumnFault({ line: 1, field: missing, given: "missing", expected });
  if (foreign !== undefined) throw new ColumnFault({ line: 1, field: foreign, given: "one column too many", expected });
  return names;
}

function reportOf(line: number, row: Row): ReportLine | Fault {
  try {
    return { line, report: parseValue(WorkReport, row, `line ${line}`) };
  } catch (error) {
    if (!(error instanceof RastroError)) throw error;
    const { field = "", given = "", expected = "" } = error.problem;
    return { line, field, given, expected };
  }
}

/** Two machines under one id would be one machine in every total. */
function twoNamesOfOneId(reports: readonly ReportLine[]): Fault[] {
  const names = new Map<string, string>();
  const faults: Fault[] = [];
  for (const { line, report } of reports) {
    const id = machineId(report.machine);
    const first = names.get(id) ?? report.machine;
    names.set(id, first);
    if (first === report.machine) continue;
    const expected = `a name whose id is not ${id}, which ${JSON.stringify(first)} has already`;
    faults.push({ line, field: "machine", given: JSON.stringify(report.machine), expected });
  }
  return faults;
}

function refusal(file: string, faults: readonly Fault[]): RastroError {
  const [first, ...others] = faults as [Fault, ...Fault[]];
  const { line, field, given, expected } = first;
  const what = field === "" ? given : `${field} is ${given}`;
  const lines = [...new Set(others.map((fault) => fault.line))];
  const named = lines.slice(0, LINES_NAMED).join(", ") + (lines.length > LINES_NAMED ? ", …" : "");
  const more = lines.length === 0 ? "" : ` (faults also on ${lines.length} other lines: ${named})`;
  return new RastroError({
    code: "schema",
    message: `Reading ${file} failed, nothing was sent: line ${line}: ${what}; expected: ${expected}${more}.`,
    field: `line ${line}${field === "" ? "" : `.${field}`}`,
    given,
    expected,
  });
}
