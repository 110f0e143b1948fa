import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const BENCH = join(import.meta.dirname, "../../../tools/bench/ledger.ts");

it("bench:ledger measures every row, and says it as JSON", { timeout: 240_000 }, async () => {
  const args = [BENCH, "--rounds", "1", "--seconds", "0.1", "--records", "2000", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env["PATH"] } });
  const { results } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    results: { row: string; ours: number; theirs: number | null; remark: string }[];
  };
  expect(new Set(results.map(({ row }) => row)).size).toBe(9);
  expect(results.filter(({ ours }) => !(ours > 0))).toEqual([]);
  // Databases that are not on this machine are told of, not left out.
  expect(results.filter(({ theirs }) => theirs === 0 || Number.isNaN(theirs))).toEqual([]);
  expect(results.filter(({ row }) => row.startsWith("appends"))).toHaveLength(6);
});
