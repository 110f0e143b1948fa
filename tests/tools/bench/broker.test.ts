import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const BENCH = join(import.meta.dirname, "../../../tools/bench/broker.ts");
const ROWS = ["latency", "qos1", "connect"];

it("bench:broker measures each of our brokers in every row, and says it as JSON", { timeout: 120_000 }, async () => {
  const args = [BENCH, "--only", ...ROWS, "--rounds", "1", "--seconds", "0.2", "--clients", "20", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env["PATH"] } });
  const { results } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    results: { row: string; broker: string; figure: number }[];
  };
  const ours = results.filter(({ broker }) => broker === "hub");
  expect(ours).toHaveLength(ROWS.length);
  expect(ours.filter(({ figure }) => !(figure > 0))).toEqual([]);
});
