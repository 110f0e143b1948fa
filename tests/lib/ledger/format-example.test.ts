import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import canonicalize from "canonicalize";
import { describe, expect, it } from "vitest";

/*
 * The example of docs/ledger-format.md, checked as an outsider would: with that page and a hash function, and with
 * nothing of lib/.
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
