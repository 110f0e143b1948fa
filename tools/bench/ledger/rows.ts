import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What must be reached and what is aimed at, by the ratio, or by the figure where there is nothing to compare with. */
export type Bound = { is: "at least" | "at most"; must: number; aim: number | null };

/** One line of the table: what was measured of ours, and beside it what it is compared with, in the same unit. */
export type Comparison = {
  row: string;
  ours: number;
  unit: string;
  /** Null where the figure stands by itself; `theirs` null where the other one is not on this machine. */
  other: string | null;
  theirs: number | null;
  bound: Bound;
  remark: string;
};

/** What the bound is held against: null where it could not be measured. */
export function judged({ ours, other, theirs }: Comparison): number | null {
  if (other === null) return ours;
  return theirs === null ? null : ours / theirs;
}

/** `aim`, `must` (the aim was missed), `missed`, or `-` where nothing could be measured. */
export function verdictOn(comparison: Comparison): "aim" | "must" | "missed" | "-" {
  const value = judged(comparison);
  if (value === null) return "-";
  const { is, must, aim } = comparison.bound;
  const keeps = (limit: number) => (is === "at least" ? value >= limit : value <= limit);
  if (!keeps(must)) return "missed";
  return aim === null || keeps(aim) ? "aim" : "must";
}

/** Gives a folder of its own to what is measured, and removes it afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "rastro-ledger-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
