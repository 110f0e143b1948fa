import type { BookProof } from "../../lib/contracts/book.ts";
import { leafHash } from "../../lib/ledger/hash.ts";
import { verifyInclusion } from "../../lib/ledger/proof.ts";
import { type LedgerRecord, openRecord } from "../../lib/ledger/record.ts";

/** What was checked here of one record, in this order. A step that fails is the last one. */
export type ProofCheck = {
  ok: boolean;
  book: string;
  seq: number;
  size: number;
  root: string;
  leaf: string;
  steps: { what: string; ok: boolean }[];
};

/** What the record has to be, known from elsewhere. `leaf` and `event` come from a receipt or a version. */
export type Expected = { seq?: number; leaf?: string; event?: string };

/**
 * Checks a proof of a record with nothing but hashes: the record is what was asked for, its bytes give its leaf, and the
 * leaf and the path give the root of the book (RFC 9162 §2.1.3.2). The record is decoded from the bytes that were hashed.
 */
export function checkProof(proof: BookProof, expected: Expected): { check: ProofCheck; record: LedgerRecord | null } {
  const { head, path } = proof;
  const { seq } = proof.record;
  const bytes = Buffer.from(proof.record.bytes, "base64");
  const leaf = leafHash(bytes);
  const record = decode(bytes);
  const questions: [string, () => boolean][] = [
    [`the ${bytes.length} bytes are a canonical record`, () => record !== null],
    [
      `it is record ${seq}${expected.event === undefined ? "" : ` of event ${expected.event}`}`,
      () => isExpected(record, seq, expected),
    ],
    [`its bytes hash to the leaf ${leaf.toString("hex")}`, () => leafFits(leaf, proof, expected)],
    [
      `leaf and ${path.length} ${path.length === 1 ? "hash" : "hashes"} give the root ${head.root} of ${head.size} records`,
      () => verifyInclusion({ seq, size: head.size, leaf, path: path.map(fromHex), root: fromHex(head.root) }),
    ],
  ];
  const steps = answerInOrder(questions);
  const ok = steps.every((step) => step.ok);
  return {
    check: { ok, book: head.book, seq, size: head.size, root: head.root, leaf: leaf.toString("hex"), steps },
    record,
  };
}

function answerInOrder(questions: [string, () => boolean][]): ProofCheck["steps"] {
  const steps: ProofCheck["steps"] = [];
  for (const [what, holds] of questions) {
    const ok = holds();
    steps.push({ what, ok });
    if (!ok) break;
  }
  return steps;
}

function isExpected(record: LedgerRecord | null, seq: number, expected: Expected): boolean {
  if (record?.seq !== seq || (expected.seq ?? seq) !== seq) return false;
  return expected.event === undefined || eventId(record) === expected.event;
}

function eventId(record: LedgerRecord): unknown {
  return (record.event as { id?: unknown } | null)?.id;
}

function leafFits(leaf: Buffer, proof: BookProof, expected: Expected): boolean {
  const hex = leaf.toString("hex");
  return hex === proof.record.leaf && (expected.leaf ?? hex) === hex;
}

function decode(bytes: Buffer): LedgerRecord | null {
  try {
    return openRecord(bytes);
  } catch {
    return null;
  }
}

function fromHex(text: string): Buffer {
  return Buffer.from(text, "hex");
}
