import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const BENCH = join(import.meta.dirname, "../../../tools/bench/ledger.ts");

it("bench:ledger measures every row, and says it as JSON", { timeout: 120_000 }, async () => {
  const args = [BENCH, "--rounds", "1", "--seconds", "0.1", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env["PATH"] } });
  const { results } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    results: { row: string; ours: number; theirs: number | null }[];
  };
  expect(new Set(results.map(({ row }) => row))).toMatchObject({ size: 3 });
  expect(results.filter(({ ours, theirs }) => !(ours > 0) || theirs === 0)).toEqual([]);
});
