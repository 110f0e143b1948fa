import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatAddCheckpoint, judgeAddCheckpoint, parseAddCheckpoint } from "../../../lib/ledger/add-checkpoint.ts";
import { signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../../lib/ledger/hash.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { SIGNATURE_TYPES, verifierKey } from "../../../lib/ledger/signed-note.ts";
import { appendLeaf, consistencyPath, EMPTY_RANGE, rangeOf, rootOf } from "../../../lib/ledger/tree.ts";
import { keyOfSeed } from "./keys.ts";

const ORIGIN = "plant-1/audit";
const logKeys = [verifierKey(ORIGIN, SIGNATURE_TYPES.ed25519, rawPublicKey(keyOfSeed(1)))];
const SIZE = 40;
const log = grow("a");

function grow(word: string) {
  const nodes = new Map<string, Buffer>();
  let range = EMPTY_RANGE;
  for (let seq = 0; seq < SIZE; seq += 1) {
    const grown = appendLeaf(range, leafHash(Buffer.from(`${word}${seq}`)));
    range = grown.range;
    for (const { level, index, hash } of grown.completed) nodes.set(`${level}/${index}`, hash);
  }
  const node = (level: number, index: number) => nodes.get(`${level}/${index}`) as Buffer;
  const root = (size: number) => rootOf(rangeOf(size, node));
  return {
    root,
    note: (size: number, seed = 1, origin = ORIGIN) =>
      signCheckpoint({ origin, size, root: root(size) }, [keyOfSeed(seed)]),
    proof: (first: number, second: number) => consistencyPath(first, second, node),
  };
}

function judge(witnessed: number | null, request: { old: number; proof: Buffer[]; checkpoint: string }) {
  const known = witnessed === null ? null : { size: witnessed, root: log.root(witnessed) };
  return judgeAddCheckpoint(formatAddCheckpoint(request), { logKeys, witnessed: () => known });
}

describe("a witness", () => {
  it("grants every step forward that is proven, from any size to any later one", () => {
    fc.assert(
      fc.property(fc.nat(SIZE), fc.nat(SIZE), (one, other) => {
        const [first, second] = [Math.min(one, other), Math.max(one, other)];
        const request = { old: first, proof: log.proof(first, second), checkpoint: log.note(second) };
        expect(judge(first, request)).toMatchObject({ status: 200, checkpoint: { head: { size: second } } });
      }),
    );
  });

  it("takes the first checkpoint that it sees of a log", () => {
    expect(judge(null, { old: 0, proof: [], checkpoint: log.note(7) }).status).toBe(200);
  });

  it("says what it has when the log thinks otherwise, also when the log is ahead of it", () => {
    const request = { old: 5, proof: log.proof(5, 9), checkpoint: log.note(9) };
    expect(judge(8, request)).toEqual({ status: 409, size: 8 });
    expect(judge(null, request)).toEqual({ status: 409, size: 0 });
  });

  it("refuses a checkpoint that goes back", () => {
    expect(judge(9, { old: 9, proof: [], checkpoint: log.note(5) }).status).toBe(400);
  });

  it("refuses another history, of the same size and of a later one", () => {
    const other = grow("b");
    expect(judge(9, { old: 9, proof: [], checkpoint: other.note(9) })).toMatchObject({ status: 422 });
    expect(judge(9, { old: 9, proof: other.proof(9, 20), checkpoint: other.note(20) })).toMatchObject({
      status: 422,
      conflict: { head: { size: 20 } },
    });
    expect(judge(9, { old: 9, proof: log.proof(8, 20), checkpoint: log.note(20) }).status).toBe(422);
  });

  it("refuses a proof where there is nothing to prove", () => {
    expect(judge(null, { old: 0, proof: log.proof(3, 9), checkpoint: log.note(9) }).status).toBe(422);
  });

  it("knows its logs and their keys", () => {
    expect(judge(null, { old: 0, proof: [], checkpoint: log.note(7, 1, "plant-2/audit") }).status).toBe(404);
    expect(judge(null, { old: 0, proof: [], checkpoint: log.note(7, 2) }).status).toBe(403);
    const changed = log.note(7).replace("\n7\n", "\n6\n");
    expect(judge(null, { old: 0, proof: [], checkpoint: changed }).status).toBe(403);
  });

  it.each([
    ["nothing", ""],
    ["a checkpoint alone", log.note(7)],
    ["a size with a zero before it", `old 05\n\n${log.note(7)}`],
    ["a size below zero", `old -1\n\n${log.note(7)}`],
    ["a hash of 31 bytes", `old 5\n${Buffer.alloc(31).toString("base64")}\n\n${log.note(7)}`],
    ["64 hashes", `old 5\n${`${Buffer.alloc(32).toString("base64")}\n`.repeat(64)}\n${log.note(7)}`],
    ["no checkpoint", "old 0\n\n"],
  ])("does not understand %s", (_name, request) => {
    expect(judgeAddCheckpoint(request, { logKeys, witnessed: () => null }).status).toBe(400);
  });

  it("reads a request as it was written", () => {
    const request = { old: 5, proof: log.proof(5, 9), checkpoint: log.note(9) };
    expect(parseAddCheckpoint(formatAddCheckpoint(request))).toEqual(request);
  });
});
