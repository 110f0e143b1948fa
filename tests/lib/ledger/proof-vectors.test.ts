import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { verifyInclusion } from "../../../lib/ledger/proof.ts";

type Vector = {
  leafIdx: bigint;
  treeSize: bigint;
  root: string;
  leafHash: string;
  proof: string[] | null;
  desc: string;
  wantErr: boolean;
  name: string;
};

const vectors = readVectors();

describe("inclusion proofs of transparency-dev/merkle", () => {
  it("are all there", () => {
    expect(vectors).toHaveLength(98);
    expect(vectors.filter((vector) => vector.wantErr).length).toBeGreaterThan(50);
    expect(vectors.some((vector) => vector.leafIdx === 2n ** 64n - 1n)).toBe(true);
  });

  it.each(vectors)("$name ($desc)", (vector) => {
    const accepted = verifyInclusion({
      seq: vector.leafIdx,
      size: vector.treeSize,
      leaf: bytes(vector.leafHash),
      root: bytes(vector.root),
      path: (vector.proof ?? []).map(bytes),
    });
    expect(accepted).toBe(!vector.wantErr);
  });
});

/** Whole numbers become bigint from their source text: a number of JavaScript would round them. */
function readVectors(): Vector[] {
  const text = readFileSync(new URL("vectors/merkle-inclusion.json", import.meta.url), "utf8");
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && context?.source !== undefined ? BigInt(context.source) : value,
  ) as Vector[];
}

function bytes(base64: string): Buffer {
  return Buffer.from(base64, "base64");
}
