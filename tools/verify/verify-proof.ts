import { leafHash } from "../../lib/ledger/hash.ts";
import { OriginSignatures } from "../../lib/ledger/origin-signatures.ts";
import { type LedgerRecord, openRecord } from "../../lib/ledger/record.ts";
import { parseTlogProof, provesLeaf } from "../../lib/ledger/tlog-proof.ts";
import { type RecordReport, type Report, Steps } from "./report.ts";
import { believe, believed, type Trust } from "./trust.ts";

/**
 * Checks a proof that carries its record (C2SP tlog-proof, the record's stored bytes as `extra`), in the order of that
 * specification: leaf, log, witnesses, inclusion; then the signature of the event's origin. Never throws.
 *
 * @param bytes - the whole file.
 */
export function verifyProof(bytes: Uint8Array, trust: Trust): Report {
  const steps = new Steps("proof");
  try {
    return takeSteps(steps, new TextDecoder("utf-8", { fatal: true }).decode(bytes), trust);
  } catch (reason) {
    return steps.refuse(reason);
  }
}

function takeSteps(steps: Steps, text: string, trust: Trust): Report {
  const proof = parseTlogProof(text);
  if (proof.extra === null) throw new Error("the proof carries no record");
  const { root } = proof.checkpoint.head;
  const record = openRecord(proof.extra);
  const leaf = leafHash(proof.extra);
  steps.demand(
    `the ${proof.extra.length} bytes are the canonical form of record ${record.seq}`,
    record.seq === proof.index,
    `the proof is of record ${proof.index}, and carries record ${record.seq}`,
  );
  steps.report.record = reportOf(record, leaf);
  if (trust.policy !== null) {
    steps.report.checkpoint = believe(trust.policy, proof.checkpoint);
    steps.holds(believed(steps.report.checkpoint));
  }
  const hashes = `${proof.path.length} ${proof.path.length === 1 ? "hash" : "hashes"}`;
  steps.demand(
    `record and ${hashes} give the root ${root.toString("hex")} of the checkpoint`,
    provesLeaf(proof, leaf),
    `record ${record.seq} and the ${hashes} do not give the root of the checkpoint`,
  );
  const signatures = new OriginSignatures(trust.origins);
  signatures.check(record);
  steps.report.events = signatures.counts;
  const by = Object.keys(signatures.counts.checked)[0];
  if (by !== undefined) steps.holds(`the event is signed by ${by}, who sent it`);
  return steps.accept();
}

function reportOf(record: LedgerRecord, leaf: Buffer): RecordReport {
  const { id, type, at, actor } = record.event as Record<string, unknown>;
  const sub = typeof actor === "object" && actor !== null ? (actor as { sub?: unknown }).sub : null;
  return { seq: record.seq, leaf: leaf.toString("hex"), recv: record.recv, id, type, at, actor: sub };
}
