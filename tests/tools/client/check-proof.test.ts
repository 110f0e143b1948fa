import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BookProof } from "../../../lib/contracts/book.ts";
import { sealRecord } from "../../../lib/ledger/record.ts";
import { appendLeaf, EMPTY_RANGE, inclusionPath, type Range, rootOf } from "../../../lib/ledger/tree.ts";
import { checkProof } from "../../../tools/client/check-proof.ts";

/** A book of so many records, and the proof of one of them as a service would answer it. */
function proofOf(seq: number, size: number): BookProof {
  const nodes = new Map<string, Buffer>();
  const sealed: { bytes: Buffer; leaf: Buffer }[] = [];
  let range: Range = EMPTY_RANGE;
  for (let at = 0; at < size; at += 1) {
    const record = sealRecord({
      seq: at,
      prev: sealed.at(-1)?.leaf.toString("hex") ?? "0".repeat(64),
      recv: "2026-11-24T06:00:00.000Z",
      event: { id: `event-${at}` },
      sig: null,
      via: { kind: "internal", name: "production", session: null },
      added: { result: "booked", code: null, role: null, rev: null, before: null, after: null, flags: [] },
    });
    sealed.push(record);
    const appended = appendLeaf(range, record.leaf);
    range = appended.range;
    for (const node of appended.completed) nodes.set(`${node.level}/${node.index}`, node.hash);
  }
  const record = sealed[seq] as { bytes: Buffer; leaf: Buffer };
  const path = inclusionPath(seq, size, (level, index) => nodes.get(`${level}/${index}`) as Buffer);
  return {
    record: { seq, leaf: record.leaf.toString("hex"), bytes: record.bytes.toString("base64") },
    head: { book: "production", origin: "plant/production", size, root: rootOf(range).toString("hex") },
    path: path.map((hash) => hash.toString("hex")),
  };
}

const failing = (proof: BookProof, expected = {}) => {
  const { check } = checkProof(proof, expected);
  return { ok: check.ok, step: check.steps.findIndex((step) => !step.ok) };
};

test("every record of a book of any size is proved", () => {
  const place = fc
    .integer({ min: 1, max: 40 })
    .chain((size) => fc.tuple(fc.integer({ min: 0, max: size - 1 }), fc.constant(size)));
  fc.assert(
    fc.property(place, ([seq, size]) => {
      const proof = proofOf(seq, size);
      const { check, record } = checkProof(proof, { seq, leaf: proof.record.leaf, event: `event-${seq}` });
      expect(check).toMatchObject({ ok: true, seq, size });
      expect(check.steps).toHaveLength(4);
      expect(record?.event).toEqual({ id: `event-${seq}` });
    }),
    { numRuns: 50 },
  );
});

describe("what does not hold is found at its step", () => {
  const proof = proofOf(5, 11);

  test("bytes that are no canonical record", () => {
    const bytes = Buffer.from("{ }").toString("base64");
    expect(failing({ ...proof, record: { ...proof.record, bytes } })).toEqual({ ok: false, step: 0 });
  });

  test.each([{ seq: 6 }, { event: "event-6" }])("another record than asked for: %o", (expected) => {
    expect(failing(proof, expected)).toEqual({ ok: false, step: 1 });
  });

  test("a record that says another number than the proof", () => {
    expect(failing({ ...proof, record: { ...proof.record, seq: 6 } })).toEqual({ ok: false, step: 1 });
  });

  test("another leaf than the receipt's, or than the answer says", () => {
    const other = "0".repeat(64);
    expect(failing(proof, { leaf: other })).toEqual({ ok: false, step: 2 });
    expect(failing({ ...proof, record: { ...proof.record, leaf: other } })).toEqual({ ok: false, step: 2 });
  });

  test("a path, a root or a size that does not fit", () => {
    const root = "0".repeat(64);
    expect(failing({ ...proof, path: proof.path.slice(1) })).toEqual({ ok: false, step: 3 });
    expect(failing({ ...proof, head: { ...proof.head, root } })).toEqual({ ok: false, step: 3 });
    expect(failing({ ...proof, head: { ...proof.head, size: 5 } })).toEqual({ ok: false, step: 3 });
  });

  test("any byte of the record that is changed", () => {
    const bytes = Buffer.from(proof.record.bytes, "base64");
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(failing({ ...proof, record: { ...proof.record, bytes: changed.toString("base64") } }).ok).toBe(false);
      }),
    );
  });
});
