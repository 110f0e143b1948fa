import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import canonicalize from "canonicalize";
import { describe, expect, it } from "vitest";
import { trustOf } from "../../../tools/verify/trust.ts";
import { verifyFile } from "../../../tools/verify/verify-file.ts";
import { secondVerifier } from "../../support/second-verifier.ts";

/*
 * The example of docs/ledger-format.md, checked as an outsider would: with that page and a hash function, and with
 * nothing of lib/; at its end with the two verifiers.
 */

const page = readFileSync(new URL("../../../docs/ledger-format.md", import.meta.url), "utf8");
const example = page.slice(page.indexOf("## Example"));
const lines = block(1).split("\n");
const hashes = new Map(
  block(2)
    .split("\n")
    .map((line) => line.split(" ") as [string, string]),
);

type Stored = { seq: number; prev: string; event: unknown; sig: { key: string; value: string } };

describe("the example of the format's page", () => {
  it("is in canonical form", () => {
    for (const line of lines) expect(canonicalize(JSON.parse(line))).toBe(line);
  });

  it("has the leaves that it says, each in the next record", () => {
    expect(lines).toHaveLength(3);
    let prev = "0".repeat(64);
    for (const [seq, line] of lines.entries()) {
      const record = JSON.parse(line) as Stored;
      expect(record).toMatchObject({ v: 1, seq, prev });
      prev = leaf(line);
      expect(hashes.get(String(seq))).toBe(prev);
    }
  });

  it("has the root that it says, in the head note as well", () => {
    const [first, second, third] = lines.map(leaf) as [string, string, string];
    const root = sha256(`01${sha256(`01${first}${second}`)}${third}`);
    expect(hashes.get("root")).toBe(root);
    expect(block(3)).toBe(`example/production\n3\n${Buffer.from(root, "hex").toString("base64")}`);
  });

  it("is signed by the key that it names", () => {
    const raw = /public\s+`([0-9a-f]{64})`/.exec(example)?.[1] ?? "";
    const x = Buffer.from(raw, "hex").toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    for (const line of lines) {
      const { event, sig } = JSON.parse(line) as Stored;
      expect(sig.key).toBe(sha256(raw).slice(0, 16));
      expect(verify(null, Buffer.from(canonicalize(event) ?? ""), key, Buffer.from(sig.value, "base64"))).toBe(true);
    }
  });
});

describe("the export and the proof of the format's page", () => {
  const [, note, , exported, proof] = [3, 4, 5, 6, 7].map(block) as [string, string, string, string, string];
  const bytes = (hex: string) => Buffer.from(hex, "hex");

  it("are of the records above", () => {
    const [header, gap, record, trailer] = exported.split("\n") as [string, string, string, string];
    const { root, size } = JSON.parse(header) as { root: string; size: number };
    expect([root, size]).toEqual([hashes.get("root"), lines.length]);
    const left = sha256(`01${hashes.get("0")}${hashes.get("1")}`);
    expect(JSON.parse(gap)).toEqual({ hashes: [left], omitted: [0, 2] });
    expect(record).toBe(`{"record":${lines[2]},"seq":2}`);
    const digest = createHash("sha256").update([header, gap, record, ""].join("\n")).digest("hex");
    expect(JSON.parse(trailer)).toEqual({
      checkpoint: `${note}\n`,
      omitted: 2,
      records: 1,
      sha256: digest,
      unreadable: 0,
    });
  });

  it("lead to one checkpoint", () => {
    const [first, extra, index, ...path] = (proof.split("\n\n")[0] ?? "").split("\n");
    expect([first, index]).toEqual(["c2sp.org/tlog-proof@v1", "index 1"]);
    expect(Buffer.from(extra?.slice(6) ?? "", "base64").toString()).toBe(lines[1]);
    expect(path).toEqual(["0", "2"].map((seq) => bytes(hashes.get(seq) ?? "").toString("base64")));
    expect(proof.endsWith(`\n\n${note}`)).toBe(true);
    expect(note.split("\n").slice(0, 3).join("\n")).toBe(block(3));
  });

  it("are taken by both verifiers", async (test) => {
    const folder = await mkdtemp(join(tmpdir(), "rastro-format-"));
    test.onTestFinished(() => rm(folder, { recursive: true }));
    const files = [join(folder, "some.jsonl"), join(folder, "one.tlog-proof")];
    for (const [at, content] of [exported, proof].entries()) await writeFile(files[at] ?? "", `${content}\n`);
    await writeFile(join(folder, "policy"), block(5));
    const trust = trustOf({ policy: block(5), keys: [], hashesOnly: false });
    for (const file of files) expect(await verifyFile(file, trust)).toMatchObject({ ok: true, refusal: null });
    const { whole } = await secondVerifier(test, ["--policy", join(folder, "policy"), ...files]);
    expect(whole).toEqual([true, true]);
  });
});

/** The n-th fenced block of the example. */
function block(n: number): string {
  return (example.split("```")[2 * n - 1] ?? "").replace(/^[a-z]*\n/, "").trimEnd();
}

function leaf(line: string): string {
  return sha256(`00${Buffer.from(line).toString("hex")}`);
}

function sha256(hex: string): string {
  return createHash("sha256").update(Buffer.from(hex, "hex")).digest("hex");
}
