import type { KeyObject } from "node:crypto";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import { ExportText } from "../../lib/ledger/export-text.ts";
import { signCheckpoint } from "../../lib/ledger/checkpoint.ts";
import { cosign } from "../../lib/ledger/cosignature.ts";
import { NO_PREVIOUS, sealRecord } from "../../lib/ledger/record.ts";
import { type Policy, formatPolicy, parsePolicy } from "../../lib/ledger/policy.ts";
import {
  formatSignature,
  formatVerifierKey,
  parseNote,
  SIGNATURE_TYPES,
  verifierKey,
} from "../../lib/ledger/signed-note.ts";
import { fingerprint, rawPublicKey, sign } from "../../lib/ledger/signature.ts";
import { formatTlogProof } from "../../lib/ledger/tlog-proof.ts";
import {
  appendLeaf,
  EMPTY_RANGE,
  inclusionPath,
  type NodeReader,
  type Range,
  rootOf,
  subtreesOf,
} from "../../lib/ledger/tree.ts";
import { keyOfSeed } from "../lib/ledger/keys.ts";

/** A book in memory, of entries of machines `press-0` to `press-2` that take turns. */
export type SampleBook = {
  origin: string;
  records: Buffer[];
  leaves: Buffer[];
  range: Range;
  root: Buffer;
  node: NodeReader;
  key: KeyObject;
};

export const SAMPLE_ORIGIN = "plant.example/production";

export function sampleBook(size: number, key: KeyObject = keyOfSeed(7)): SampleBook {
  const nodes = new Map<string, Buffer>();
  const book = { records: [] as Buffer[], leaves: [] as Buffer[] };
  let range = EMPTY_RANGE;
  for (let seq = 0; seq < size; seq += 1) {
    const { bytes, leaf } = sealRecord(sampleRecord(seq, book.leaves.at(-1)?.toString("hex") ?? NO_PREVIOUS, key));
    book.records.push(bytes);
    book.leaves.push(leaf);
    const grown = appendLeaf(range, leaf);
    range = grown.range;
    for (const { level, index, hash } of grown.completed) nodes.set(`${level}/${index}`, hash);
  }
  const node: NodeReader = (level, index) => {
    const hash = nodes.get(`${level}/${index}`);
    if (hash === undefined) throw new Error(`no node ${level}/${index}`);
    return hash;
  };
  return { ...book, origin: SAMPLE_ORIGIN, range, root: rootOf(range), node, key };
}

function sampleRecord(seq: number, prev: string, key: KeyObject) {
  const machine = `press-${seq % 3}`;
  const id = `0193f3a0-0000-7000-8000-${seq.toString(16).padStart(12, "0")}`;
  const event = {
    v: 1,
    id,
    type: "entry.created",
    at: new Date(Date.UTC(2026, 10, 24, 5) + seq * 60_000).toISOString(),
    tz: "America/Sao_Paulo",
    clock: { source: "ntp", offsetMs: -3 },
    actor: { sub: machine, auth: "device" },
    src: { name: machine, app: "edge-agent@test", outbox: { epoch: "0102030405060708", dseq: seq + 1 } },
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields: { machine, lot: `L-${seq % 5} é "=1"`, good: seq } },
  };
  const value = sign(key, Buffer.from(canonicalText(event)));
  return {
    seq,
    prev,
    recv: event.at,
    event,
    sig: { by: machine, key: fingerprint(rawPublicKey(key)), value },
    via: { kind: "outbox" as const, name: machine, session: null },
    added: { result: "booked" as const, code: null, role: "machine", rev: 1, before: null, after: null, flags: [] },
  };
}

/** The export of a sample book: records that are not chosen are left out, those of `damaged` cannot be read. */
export function sampleExport(
  book: SampleBook,
  o: { choose?: (seq: number) => boolean; damaged?: readonly number[]; checkpoint?: string | null } = {},
): string {
  const { choose = () => true, damaged = [], checkpoint = null } = o;
  const size = book.records.length;
  const text = new ExportText();
  const hashes = (from: number, to: number) => subtreesOf(from, to).map(({ level, index }) => book.node(level, index));
  const header = { book: "production", origin: book.origin, size, root: book.root.toString("hex") };
  let made = text.header({ ...header, filter: { machine: "press-1" }, madeAt: "2026-11-24T12:00:00.000Z" });
  for (let seq = 0; seq < size;) {
    let to = seq + 1;
    if (damaged.includes(seq)) made += text.gap("unreadable", { from: seq, to, hashes: hashes(seq, to) });
    else if (choose(seq)) made += text.record(seq, book.records[seq] as Buffer);
    else {
      while (to < size && !choose(to) && !damaged.includes(to)) to += 1;
      made += text.gap("omitted", { from: seq, to, hashes: hashes(seq, to) });
    }
    seq = to;
  }
  return made + text.trailer(checkpoint);
}

export const SAMPLE_LOG_KEY = keyOfSeed(1);
const WITNESSES = [2, 3, 4].map((seed) => ({ name: `ipc-0${seed}.example/witness`, privateKey: keyOfSeed(seed) }));

/** The checkpoint of a sample book, cosigned by the first witnesses of three, a minute from one to the next. */
export function sampleCheckpoint(book: SampleBook, cosigners = 3): string {
  const signed = signCheckpoint({ origin: book.origin, size: book.records.length, root: book.root }, [SAMPLE_LOG_KEY]);
  const { text } = parseNote(signed);
  const lines = WITNESSES.slice(0, cosigners).map((witness, at) =>
    formatSignature(cosign(text, { ...witness, time: 1_795_500_000 + 60 * at })),
  );
  return signed + lines.join("");
}

/** A checkpoint of a sample book by another key, cosigned by nobody. */
export function sampleCheckpointBy(book: SampleBook, key: KeyObject): string {
  return signCheckpoint({ origin: book.origin, size: book.records.length, root: book.root }, [key]);
}

/** The policy that goes with it: two of the three witnesses. */
export function samplePolicy(): {
  text: string;
  policy: Policy;
  logKey: string;
  originKey: (book: SampleBook, machine: string) => string;
} {
  const logKey = vkey(SAMPLE_ORIGIN, SAMPLE_LOG_KEY, SIGNATURE_TYPES.ed25519);
  const witnesses = WITNESSES.map(
    ({ name, privateKey }, at) => `witness w${at} ${vkey(name, privateKey, SIGNATURE_TYPES.cosignature)}`,
  );
  const text = [`log ${logKey}`, ...witnesses, "group plant 2 w0 w1 w2", "quorum plant", ""].join("\n");
  const policy = parsePolicy(text);
  const originKey = (book: SampleBook, machine: string) => vkey(machine, book.key, SIGNATURE_TYPES.ed25519);
  return { text: formatPolicy(policy), policy, logKey, originKey };
}

function vkey(name: string, key: KeyObject, type: (typeof SIGNATURE_TYPES)[keyof typeof SIGNATURE_TYPES]): string {
  return formatVerifierKey(verifierKey(name, type, rawPublicKey(key)));
}

/** The proof of one record of a sample book. */
export function sampleProof(book: SampleBook, seq: number, checkpoint = sampleCheckpoint(book)): string {
  const path = inclusionPath(seq, book.records.length, book.node);
  return formatTlogProof({ extra: book.records[seq] as Buffer, index: seq, path, checkpoint });
}
