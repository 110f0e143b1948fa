import { createPrivateKey, type KeyObject } from "node:crypto";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import { ExportText } from "../../lib/ledger/export-text.ts";
import { NO_PREVIOUS, sealRecord } from "../../lib/ledger/record.ts";
import { fingerprint, rawPublicKey, sign } from "../../lib/ledger/signature.ts";
import { appendLeaf, EMPTY_RANGE, type NodeReader, type Range, rootOf, subtreesOf } from "../../lib/ledger/tree.ts";

/** An Ed25519 key that is the same each time (RFC 8410: the DER prefix of a private key, then the seed). */
export function fixedKey(seed: number): KeyObject {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, seed)]);
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

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

export function sampleBook(size: number, key: KeyObject = fixedKey(7)): SampleBook {
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
