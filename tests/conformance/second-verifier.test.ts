import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { trustOf } from "../../tools/verify/trust.ts";
import { verifyFile } from "../../tools/verify/verify-file.ts";
import {
  type SampleBook,
  sampleBook,
  sampleCheckpoint,
  sampleExport,
  samplePolicy,
  sampleProof,
} from "../support/export-samples.ts";
import { seededRandom } from "../support/mutations.ts";
import { secondVerifier } from "../support/second-verifier.ts";

/*
 * The second verifier, in Python, written from docs/ledger-format.md: what ours takes it takes too, and what ours refuses
 * it refuses. Where one of them is wrong about the format they differ.
 */

const { text: policy, originKey } = samplePolicy();
const book = sampleBook(23);
const keys = ["press-0", "press-1", "press-2"].map((machine) => originKey(book, machine));
const trust = trustOf({ policy, keys, hashesOnly: false });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-second-"));
  await writeFile(join(folder, "policy"), policy);
});
afterAll(() => rm(folder, { recursive: true }));

/** What both verifiers say of files: true for whole. */
async function judge(
  test: TestContext,
  contents: readonly (string | Uint8Array)[],
): Promise<{ ours: boolean[]; theirs: boolean[] }> {
  const files: string[] = [];
  const ours: boolean[] = [];
  for (const [at, content] of contents.entries()) {
    const file = join(folder, `file-${at}`);
    await writeFile(file, content);
    files.push(file);
    ours.push((await verifyFile(file, trust)).ok);
  }
  const options = ["--policy", join(folder, "policy"), ...keys.flatMap((key) => ["--key", key])];
  const { exit, whole, stdout } = await secondVerifier(test, [...options, ...files]);
  expect(whole, stdout).toHaveLength(files.length);
  expect(exit).toBe(whole.every(Boolean) ? 0 : 1);
  return { ours, theirs: whole };
}

function exportsOf(of: SampleBook): string[] {
  const checkpoint = sampleCheckpoint(of);
  return [
    sampleExport(of, { checkpoint }),
    sampleExport(of, { checkpoint, choose: (seq) => seq % 3 === 1 }),
    sampleExport(of, { checkpoint, choose: () => false }),
    sampleExport(of, { checkpoint, choose: (seq) => seq > 4, damaged: [0, 7] }),
  ];
}

describe("the second verifier", () => {
  it("takes exports and proofs of books of every small size", async (test) => {
    const contents: string[] = [];
    for (let size = 0; size <= 17; size += 1) {
      const of = sampleBook(size);
      contents.push(...exportsOf(of));
      for (let seq = 0; seq < size; seq += 1) contents.push(sampleProof(of, seq));
    }
    const { ours, theirs } = await judge(test, contents);
    expect(ours.every(Boolean)).toBe(true);
    expect(theirs).toEqual(ours);
  });

  it("refuses what ours refuses, bit by bit", async (test) => {
    const random = seededRandom(20_261_124);
    const below = (limit: number) => Math.floor(random() * limit);
    const contents = [...exportsOf(book), sampleProof(book, 7)].flatMap((whole) =>
      Array.from({ length: 60 }, () => {
        const bytes = Buffer.from(whole);
        const at = below(bytes.length);
        bytes[at] = (bytes[at] as number) ^ (1 << below(8));
        return bytes;
      }),
    );
    const { ours, theirs } = await judge(test, contents);
    expect(ours.filter((ok) => !ok).length).toBeGreaterThan(250);
    expect(theirs).toEqual(ours);
  });

  it("refuses exports that are not what was taken out, as ours does", async (test) => {
    const lines = (exportsOf(book)[0] as string).trimEnd().split("\n") as [string, string, string, string, string];
    const spoiled = {
      "a record taken out": lines.toSpliced(3, 1),
      "a record twice": lines.toSpliced(3, 0, lines[3]),
      "two records swapped": lines.with(3, lines[4]).with(4, lines[3]),
      "the last line cut off": lines.slice(0, -1),
      "something after the last line": [...lines, lines[1]],
      "no header": lines.slice(1),
      "a larger size": lines.with(0, lines[0].replace('"size":23', '"size":24')),
      "a fraction": lines.with(0, lines[0].replace('"v":1', '"v":1.0')),
      "white space": lines.with(2, lines[2].replace('"added":', '"added": ')),
      "another filter": lines.with(0, lines[0].replace("press-1", "press-2")),
      nothing: [],
    };
    const { ours, theirs } = await judge(
      test,
      Object.values(spoiled).map((rows) => rows.map((row) => `${row}\n`).join("")),
    );
    for (const [at, what] of Object.keys(spoiled).entries())
      expect([what, ours[at], theirs[at]]).toEqual([what, false, false]);
  });

  it("wants the same signatures as ours", async (test) => {
    const other = sampleBook(22);
    const { ours, theirs } = await judge(test, [
      sampleProof(book, 3, sampleCheckpoint(book, 1)),
      sampleProof(book, 3, sampleCheckpoint(book, 2)),
      sampleProof(book, 3, sampleCheckpoint(other)),
      sampleExport(book),
      sampleExport(book, { checkpoint: sampleCheckpoint(other) }),
      sampleProof(sampleBook(5, undefined), 1).replace("index 1", "index 2"),
    ]);
    expect(ours).toEqual([false, true, false, false, false, false]);
    expect(theirs).toEqual(ours);
  });
});
