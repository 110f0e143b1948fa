import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { median } from "../broker/rows.ts";
import { onCore } from "../child.ts";
import type { Answer, Job } from "./book-process.ts";
import type { Bound, Comparison } from "./rows.ts";

const run = promisify(execFile);
const PROGRAM = join(import.meta.dirname, "book-process.ts");

const AGAINST_FLOOR: Bound = { is: "at least", must: 0.5, aim: 0.9 };
const TWO_CORES: Bound = { is: "at least", must: 1.6, aim: 1.9 };
const PROOF_MS: Bound = { is: "at most", must: 5, aim: 1 };
const MEMORY: Bound = { is: "at most", must: 1.2, aim: null };

/** Cores that a verification is given beside the one that it has alone. */
const CORES = 2;
/** Proofs that are asked for in one round. */
const PROOFS = 5000;

/** `pinned`: whether processes can be held to cores. */
type Options = { folder: string; records: number; rounds: number; pinned: boolean };

/** d: verification on one core, beside reading and hashing the same bytes there; then on two. */
export async function verifyRows(o: Options): Promise<Comparison[]> {
  const one: Answer[] = [];
  const floor: Answer[] = [];
  const two: Answer[] = [];
  for (let round = 0; round < o.rounds; round += 1) {
    floor.push(await work({ ...o, job: "rehash", core: 0 }));
    one.push(await work({ ...o, job: "verify", core: 0 }));
    two.push(await work({ ...o, job: "verify", core: null }));
  }
  const size = `${o.records.toLocaleString("en")} records`;
  const perCore = median(one.map(({ perSecond }) => perSecond));
  const where = o.pinned ? "held to one core" : "could not be held to one core";
  return [
    {
      row: `verification of ${size}`,
      ours: perCore,
      unit: "/s",
      other: "read and rehash",
      theirs: median(floor.map(({ perSecond }) => perSecond)),
      bound: AGAINST_FLOOR,
      remark: `${where}; signatures apart`,
    },
    {
      row: "the same on two cores",
      ours: median(two.map(({ perSecond }) => perSecond)),
      unit: "/s",
      other: "on one",
      theirs: perCore,
      bound: TWO_CORES,
      remark: "",
    },
  ];
}

/** e: an inclusion proof with its record. */
export async function proofRow(o: Options): Promise<Comparison[]> {
  const answers: Answer[] = [];
  for (let round = 0; round < o.rounds; round += 1) answers.push(await work({ ...o, job: "prove", core: null }));
  return [
    {
      row: `inclusion proof of ${o.records.toLocaleString("en")} records, p99`,
      ours: median(answers.map(({ p99Ms }) => p99Ms)),
      unit: "ms",
      other: null,
      theirs: null,
      bound: PROOF_MS,
      remark: `p50 ${median(answers.map(({ p50Ms }) => p50Ms)).toFixed(2)} ms`,
    },
  ];
}

/** f: the most memory that a process ever has while it works on the large book, and on one of a tenth of the records. */
export async function memoryRows(o: Options & { small: string }): Promise<Comparison[]> {
  // The check is of the export before it.
  const jobs: readonly Job[] = ["verify", "export", "check"];
  const results: Comparison[] = [];
  for (const job of jobs) {
    const large: Answer[] = [];
    const small: Answer[] = [];
    for (let round = 0; round < o.rounds; round += 1) {
      large.push(await work({ ...o, job, core: null }));
      small.push(await work({ ...o, folder: o.small, job, core: null }));
    }
    results.push({
      row: `memory of ${job}`,
      ours: median(large.map(({ peakMiB }) => peakMiB)),
      unit: "MiB",
      other: "a tenth of it",
      theirs: median(small.map(({ peakMiB }) => peakMiB)),
      bound: MEMORY,
      remark: `peak of the process's own; with the store's files that are mapped ${residentOf(large)} and ${residentOf(small)} MiB`,
    });
  }
  return results;
}

function residentOf(answers: readonly Answer[]): string {
  return median(answers.map(({ residentMiB }) => residentMiB)).toFixed(0);
}

async function work(o: { folder: string; job: Job; core: number | null; pinned: boolean }): Promise<Answer> {
  const threads = o.core === null ? CORES : 1;
  const args = [PROGRAM, o.job, o.folder, String(threads), String(PROOFS)];
  const [program, ...rest] = onCore(o.pinned ? o.core : null, [process.execPath, ...args]);
  const { stdout } = await run(program, rest, { env: { PATH: process.env["PATH"] } });
  return JSON.parse(stdout) as Answer;
}
