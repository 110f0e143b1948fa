import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatRotation } from "../../../lib/ledger/key-rotation.ts";
import type { Report } from "../../../tools/verify/report.ts";
import { trustOf } from "../../../tools/verify/trust.ts";
import { verifyFile } from "../../../tools/verify/verify-file.ts";
import { verifyProof } from "../../../tools/verify/verify-proof.ts";
import {
  SAMPLE_LOG_KEY,
  sampleBook,
  sampleCheckpoint,
  sampleCheckpointBy,
  sampleExport,
  samplePolicy,
  sampleProof,
} from "../../support/export-samples.ts";
import { keyOfSeed } from "../../lib/ledger/keys.ts";

const book = sampleBook(23);
const { text: policy, logKey, originKey } = samplePolicy();
const keys = ["press-0", "press-1", "press-2"].map((machine) => originKey(book, machine));
const trust = trustOf({ policy, keys, hashesOnly: false });
const root = join(import.meta.dirname, "../../..");
const main = join(root, "tools/verify/main.ts");

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "rastro-verify-"))));
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Runs the verifier as an auditor would: Node, this one file, no environment. */
async function run(args: readonly string[], program = main) {
  const child = spawn(process.execPath, [program, ...args], { env: {}, cwd: folder });
  const [stdout, stderr, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { stdout, stderr, exit: exit as number };
}

const proofOf = (content: string | Uint8Array) => verifyProof(Buffer.from(content), trust);

describe("a proof", () => {
  it("holds for every record, and says who signed, who cosigned and when", () => {
    for (let seq = 0; seq < 23; seq += 1) expect(proofOf(sampleProof(book, seq))).toMatchObject({ ok: true });
    expect(proofOf(sampleProof(book, 7))).toMatchObject({
      kind: "proof",
      refusal: null,
      record: { seq: 7, type: "entry.created", actor: "press-1" },
      checkpoint: {
        origin: book.origin,
        size: 23,
        root: book.root.toString("hex"),
        signedBy: [{ name: book.origin }],
        cosignedBy: [
          { name: "w0", time: "2026-11-24T06:00:00.000Z" },
          { name: "w1", time: "2026-11-24T06:01:00.000Z" },
          { name: "w2", time: "2026-11-24T06:02:00.000Z" },
        ],
        quorum: "plant",
      },
      events: { checked: { "press-1": 1 }, unsigned: 0, unknownKey: 0 },
    });
  });

  it("is refused for any flipped bit, or says nothing that it did not say before", () => {
    const whole = Buffer.from(sampleProof(book, 7, sampleCheckpoint(book, 3)));
    const said = proofOf(whole);
    expect(said.ok).toBe(true);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(7), (at, bit) => {
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] as number) ^ (1 << bit);
        const report = proofOf(flipped);
        return isRefusedOrSaysNoMore(report, said);
      }),
      { numRuns: 1500 },
    );
  });

  it.each([
    ["too few witnesses", sampleProof(book, 7, sampleCheckpoint(book, 1)), /quorum "plant" is not met/],
    [
      "another record's number",
      sampleProof(book, 7).replace("index 7", "index 8"),
      /of record 8, and carries record 7/,
    ],
    ["no record", sampleProof(book, 7).replace(/extra .*\n/, ""), /carries no record/],
    ["another book's checkpoint", sampleProof(book, 7, sampleCheckpoint(sampleBook(22))), /do not give the root/],
    ["a proof that is none", "c2sp.org/tlog-proof@v1\n", /Reading a proof failed/],
    ["bytes that are no text", Buffer.from([0xff, 0xfe]), /./],
  ])("is refused with %s", (_what, content, reason) => {
    const report = proofOf(content);
    expect(report).toMatchObject({ ok: false });
    expect(report.refusal).toMatch(reason);
  });

  it("is refused when the log's key is another", () => {
    const others = trustOf({ policy: null, keys: [originKey(book, "press-0")], hashesOnly: false });
    expect(verifyProof(Buffer.from(sampleProof(book, 7)), others).refusal).toMatch(/not signed by a log/);
  });
});

/** One of three cosignatures is more than the quorum needs: without it all else has to be the same. */
function isRefusedOrSaysNoMore(report: Report, said: Report): boolean {
  if (!report.ok) return report.refusal !== null && report.refusal !== "";
  const cosigners = said.checkpoint?.cosignedBy.map((cosigner) => JSON.stringify(cosigner));
  const isKnown = (cosigner: unknown) => cosigners?.includes(JSON.stringify(cosigner)) ?? false;
  return (
    isDeepStrictEqual(withoutCosigners(report), withoutCosigners(said)) &&
    (report.checkpoint?.cosignedBy ?? []).every(isKnown)
  );
}

function withoutCosigners(report: Report): Report {
  return { ...report, checkpoint: report.checkpoint && { ...report.checkpoint, cosignedBy: [] } };
}

describe("an export", () => {
  const some = (checkpoint: string | null) => sampleExport(book, { choose: (seq) => seq % 3 === 1, checkpoint });
  const verify = async (content: string | Uint8Array) => verifyFile(await file("some.jsonl", content), trust);

  it("holds with the checkpoint of its size and root", async () => {
    expect(await verify(some(sampleCheckpoint(book)))).toMatchObject({
      ok: true,
      kind: "export",
      export: { book: "production", records: 8, omitted: 15, unreadable: 0, filter: { machine: "press-1" } },
      checkpoint: { size: 23, cosignedBy: [{ name: "w0" }, { name: "w1" }, { name: "w2" }] },
      events: { checked: { "press-1": 8 }, unsigned: 0, unknownKey: 0 },
    });
  });

  it.each([
    ["without a checkpoint", null, /no checkpoint/],
    ["with that of a smaller book", sampleCheckpoint(sampleBook(22)), /the checkpoint has the size 22/],
    ["with too few witnesses", sampleCheckpoint(book, 1), /quorum "plant" is not met/],
    ["with something else for a checkpoint", "none", /Reading a note failed/],
  ])("is refused %s", async (_what, checkpoint, reason) => {
    expect((await verify(some(checkpoint))).refusal).toMatch(reason);
  });

  it("is refused for any flipped bit, or says nothing that it did not say before", async () => {
    const whole = Buffer.from(some(sampleCheckpoint(book)));
    const said = await verify(whole);
    expect(said.ok).toBe(true);
    const flips = fc.tuple(fc.nat(whole.length - 2), fc.nat(7));
    await fc.assert(
      fc.asyncProperty(flips, async ([at, bit]) => {
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] as number) ^ (1 << bit);
        const report = await verify(flipped);
        return isRefusedOrSaysNoMore(report, said);
      }),
      { numRuns: 500 },
    );
  });

  it("is refused when a forger has made every hash anew", async () => {
    const checkpoint = sampleCheckpoint(book);
    const lines = sampleExport(book, { checkpoint }).trimEnd().split("\n");
    const forged = lines.with(23, (lines[23] as string).replace('"good":22', '"good":23')).slice(0, -1);
    const sha256 = createHash("sha256")
      .update(`${forged.join("\n")}\n`)
      .digest("hex");
    const trailer = (lines.at(-1) as string).replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${sha256}"`);
    const path = await file("forged.jsonl", [...forged, trailer].join("\n"));
    const withoutOrigins = trustOf({ policy, keys: [], hashesOnly: false });
    expect((await verifyFile(path, withoutOrigins)).refusal).toMatch(/its records give the root/);
    expect((await verifyFile(path, trust)).refusal).toMatch(/its event is not signed by the key/);
    // A whole book of the forger's own, under the checkpoint of the true one.
    const own = sampleExport(sampleBook(23, keyOfSeed(99)), { checkpoint });
    expect((await verify(own)).refusal).toMatch(/the checkpoint has the root/);
  });

  it("may be longer than what is read at once", async () => {
    const large = sampleBook(1500);
    const report = await verify(sampleExport(large, { checkpoint: sampleCheckpoint(large) }));
    expect(report).toMatchObject({ ok: true, export: { records: 1500 } });
  });
});

describe("the program", () => {
  it("runs alone and prints what it checked, exit code 0", async () => {
    const proof = await file("a.tlog-proof", sampleProof(book, 7));
    const done = await run([proof, "--policy", await file("plant.policy", policy), "--key", keys[1] as string]);
    expect(done).toMatchObject({ exit: 0, stderr: "" });
    expect(done.stdout).toMatch(/holds {2}the \d+ bytes are the canonical form of record 7/);
    expect(done.stdout).toMatch(/signed by +the log plant.example\/production/);
    expect(done.stdout).toMatch(/cosigned by +w1 \(ipc-03.example\/witness\) at 2026-11-24T06:01:00.000Z/);
    expect(done.stdout).toMatch(/is whole\.\n$/);
    const json = await run([proof, "--key", logKey, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, checkpoint: { quorum: null } });
  });

  it("refuses with the one reason, exit code 1", async () => {
    const broken = await file("b.tlog-proof", sampleProof(book, 7).replace("index 7", "index 6"));
    const done = await run([broken, "--key", logKey]);
    expect(done.exit).toBe(1);
    expect(done.stdout).toMatch(/FAILS {2}the proof is of record 6, and carries record 7/);
    expect((await run([await file("c", "hello"), "--key", logKey])).stdout).toMatch(/neither as a proof nor/);
    expect((await run([await file("d", ""), "--key", logKey])).exit).toBe(1);
  });

  it("wants to be told whom to believe, exit code 2", async () => {
    const proof = await file("e.tlog-proof", sampleProof(book, 7));
    expect(await run([proof])).toMatchObject({ exit: 2, stderr: expect.stringMatching(/Nobody is named/) });
    expect(await run([proof, "--key", "nonsense"])).toMatchObject({ exit: 2 });
    expect(await run([proof, "--policy", "/nowhere"])).toMatchObject({ exit: 2 });
    expect(await run(["/nowhere", "--key", logKey])).toMatchObject({ exit: 2 });
    expect(await run([])).toMatchObject({ exit: 2 });
    const hashes = await run([proof, "--hashes-only"]);
    expect(hashes).toMatchObject({ exit: 0, stdout: expect.stringMatching(/Whose it is was not asked/) });
  });

  it("follows a log's key to the one that signs now", async () => {
    const proof = await file("g.tlog-proof", sampleProof(book, 7, sampleCheckpointBy(book, keyOfSeed(12))));
    const notes = [
      formatRotation(book.origin, { from: SAMPLE_LOG_KEY, to: keyOfSeed(11) }),
      formatRotation(book.origin, { from: keyOfSeed(11), to: keyOfSeed(12) }),
    ];
    const plain = await run([proof, "--key", logKey]);
    expect(plain).toMatchObject({ exit: 1, stdout: expect.stringMatching(/not signed by a log/) });
    const rotations = await file("rotations", `# whatever\n${notes.join("\n")}`);
    expect(await run([proof, "--key", logKey, "--rotations", rotations])).toMatchObject({ exit: 0 });
    const half = await file("half", notes[1] as string);
    expect(await run([proof, "--key", logKey, "--rotations", half])).toMatchObject({ exit: 1 });
    const forged = await file("forged", notes.join("\n").replace(/— \S+ \S+\n/, ""));
    expect(await run([proof, "--key", logKey, "--rotations", forged])).toMatchObject({ exit: 2 });
  });

  it("needs nothing but its own folder, lib/ledger and commander", async () => {
    const alone = await mkdtemp(join(tmpdir(), "rastro-alone-"));
    for (const part of ["tools/verify", "lib/ledger", "node_modules/commander"]) {
      await cp(join(root, part), join(alone, part), { recursive: true });
    }
    await writeFile(join(alone, "package.json"), '{"type":"module"}');
    const proof = await file("h.tlog-proof", sampleProof(book, 7));
    const done = await run([proof, "--policy", await file("h.policy", policy)], join(alone, "tools/verify/main.ts"));
    expect(done).toMatchObject({ exit: 0, stderr: "" });
    await rm(alone, { recursive: true });
  });

  it("prints no control characters of a file", async () => {
    const evil = sampleExport(book).replace("press-1", "\\u001b[2J\\u202e");
    const done = await run([await file("f.jsonl", evil), "--hashes-only"]);
    expect(done.exit).toBe(1);
    // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(done.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });
});
