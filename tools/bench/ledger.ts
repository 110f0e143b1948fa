import { mkdir } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { Command, Option } from "commander";
import { appendRow, latencyRow, type Peer, PEERS } from "./ledger/append-rows.ts";
import { memoryRows, proofRow, verifyRows } from "./ledger/book-rows.ts";
import { makeBook } from "./ledger/large-book.ts";
import { type Bound, type Comparison, inFolder, judged, verdictOn } from "./ledger/rows.ts";
import { canPin } from "./pinning.ts";

/*
 * What the book costs beside what it cannot go below, and beside databases: appends, acknowledgement, verification,
 * proofs, memory.
 */

const BOOK_ROWS = ["verify", "proof", "memory"] as const;
const ROWS = ["append", "latency", ...BOOK_ROWS] as const;
type RowName = (typeof ROWS)[number];

const CALLERS = [100, 1000] as const;

type Options = { only?: RowName[]; against: Peer[]; seconds: number; rounds: number; records: number; json: boolean };

const options = new Command("bench:ledger")
  .description("Measures the book beside the bare cost of what it does, and beside SQLite and PostgreSQL.")
  .addOption(new Option("--only <rows...>", "some of the rows").choices(ROWS))
  .addOption(new Option("--against <peers...>", "what appends are held against").choices(PEERS).default([...PEERS]))
  .addOption(new Option("--seconds <n>", "how long to measure each").default(3).argParser(Number))
  .addOption(new Option("--rounds <n>", "medians are taken over so many rounds").default(3).argParser(Number))
  .addOption(
    new Option("--records <n>", "how large the book is that is verified and proved")
      .default(1_000_000)
      .argParser(Number),
  )
  .option("--json", "the figures as one last line of JSON", false)
  .parse()
  .opts<Options>();

await run();

async function run(): Promise<void> {
  const results: Comparison[] = [];
  if (wanted("append")) {
    for (const callers of CALLERS) results.push(...(await appendRow({ ...options, callers, peers: options.against })));
  }
  if (wanted("latency")) results.push(...(await latencyRow(options)));
  if (BOOK_ROWS.some(wanted)) results.push(...(await bookRows()));
  report(results);
}

function wanted(row: RowName): boolean {
  return options.only === undefined || options.only.includes(row);
}

/** What is measured on a large book, and on one of a tenth of its records. */
function bookRows(): Promise<Comparison[]> {
  return inFolder(async (folder) => {
    const [large, small] = [join(folder, "large"), join(folder, "small")];
    await mkdir(large);
    await makeBook(large, options.records);
    const given = { ...options, folder: large, pinned: canPin() };
    const results: Comparison[] = [];
    if (wanted("verify")) results.push(...(await verifyRows(given)));
    if (wanted("proof")) results.push(...(await proofRow(given)));
    if (wanted("memory")) {
      await mkdir(small);
      await makeBook(small, options.records / 10);
      results.push(...(await memoryRows({ ...given, small })));
    }
    return results;
  });
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
