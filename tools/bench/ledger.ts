import { loadavg } from "node:os";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { appendRow, latencyRow } from "./ledger/append-rows.ts";
import { type Bound, type Comparison, judged, verdictOn } from "./ledger/rows.ts";

/*
 * What the book costs beside what it cannot go below: appends, acknowledgement.
 */

const ROWS = ["append", "latency"] as const;
type RowName = (typeof ROWS)[number];

const CALLERS = [100, 1000] as const;

type Options = { only?: RowName[]; seconds: number; rounds: number; json: boolean };

const options = new Command("bench:ledger")
  .description("Measures the book beside the bare cost of what it does.")
  .addOption(new Option("--only <rows...>", "some of the rows").choices(ROWS))
  .addOption(new Option("--seconds <n>", "how long to measure each").default(3).argParser(Number))
  .addOption(new Option("--rounds <n>", "medians are taken over so many rounds").default(3).argParser(Number))
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const wanted = (row: RowName) => options.only === undefined || options.only.includes(row);
  const results: Comparison[] = [];
  if (wanted("append")) {
    for (const callers of CALLERS) results.push(...(await appendRow({ ...options, callers })));
  }
  if (wanted("latency")) results.push(...(await latencyRow(options)));
  report(results);
}

function report(results: readonly Comparison[]): void {
  const head = ["", "ours", "", "beside", "theirs", "ratio", "must", "aim", "reached", "remark"];
  const table = new Table({ head, style: { head: [], border: [] } });
  let last = "";
  for (const result of results) {
    const { row, ours, unit, other, theirs, bound, remark } = result;
    const value = judged(result);
    table.push([
      row === last ? "" : row,
      shown(ours),
      unit,
      other ?? "",
      theirs === null ? "" : shown(theirs),
      other === null || value === null ? "" : value.toFixed(2),
      limit(bound, bound.must),
      limit(bound, bound.aim),
      verdictOn(result),
      remark,
    ]);
    last = row;
  }
  process.stdout.write(`${table.toString()}\n`);
  process.stdout.write(`load average ${(loadavg()[0] ?? 0).toFixed(2)}, medians of ${options.rounds} rounds\n`);
  if (options.json) process.stdout.write(`${JSON.stringify({ bench: "ledger", ...options, results })}\n`);
}

function limit({ is }: Bound, value: number | null): string {
  if (value === null) return "";
  return `${is === "at least" ? "≥" : "≤"} ${value}`;
}

function shown(figure: number): string {
  return Math.abs(figure) >= 100 ? String(Math.round(figure)) : figure.toFixed(2);
}
