import type { KeyObject } from "node:crypto";
import { canonicalBytes } from "./canonical.ts";
import { leafHash, nodeHash } from "./hash.ts";
import type { HeadNote } from "./head-note.ts";
import { type LedgerRecord, NO_PREVIOUS, openRecord } from "./record.ts";
import { fingerprint, importPublicKey, verifySignature } from "./signature.ts";
import { appendLeaf, EMPTY_RANGE, type Range, rootOf } from "./tree.ts";

/** How many findings are named; `count` counts the rest. */
const NAMED_MAXIMUM = 1000;

/** What a finding is about. */
export type Place =
  | { at: "record"; seq: number }
  | { at: "node"; level: number; index: number }
  | { at: "id"; id: string }
  | { at: "head" }
  | { at: "note" };

export type FindingKind =
  | "altered"
  | "missing"
  | "broken-chain"
  | "not-canonical"
  | "truncated"
  | "forked"
  | "bad-signature"
  | "index";

export type Finding = { seq: number; kind: FindingKind; place: Place; expected: string; found: string };

/** What lies in the store. A reader that fails on one place says so by throwing; that place counts as unreadable. */
export type StoredBook = {
  record(seq: number): Uint8Array | undefined;
  node(level: number, index: number): Uint8Array | undefined;
  seqOf(id: string): number | undefined;
};

export type VerifyInput = {
  stored: StoredBook;
  /** The store's own idea of its head. */
  head: { size: number; tip: Uint8Array | null; root: Uint8Array };
  /** One more than the highest record number that the store has. */
  reach: number;
  /** The head note; null where there is none to compare with, `missing` or `unreadable` where there should be one. */
  note: HeadNote | null | "missing" | "unreadable";
  /** The raw public key of a name; null when it is not known. */
  keyOf: (name: string) => Uint8Array | null;
};

export type VerifyOutcome = {
  findings: Finding[];
  count: number;
  size: number;
  /** Root over the leaves as the tree has them; over those before the first unknown one where a leaf is not known. */
  root: Buffer;
  signatures: { checked: number; unsigned: number; unknownKey: number };
};

/**
 * Walks every record of a book in order and compares it with the tree, its neighbours, the head and the head note.
 *
 * One fault is named once: what a record's leaf should be is decided among the record's own hash, the leaf node and
 * the `prev` of the record after it, and everything that follows is judged by that leaf.
 *
 * Yields the number of records done after each, so that the caller can let other work in.
 */
export function* verifyRecords(input: VerifyInput): Generator<number, VerifyOutcome> {
  const walk = new Walk(input);
  const size = Math.max(input.head.size, input.reach);
  walk.start(size);
  let row = size > 0 ? walk.read(0) : null;
  for (let seq = 0; row !== null; seq += 1) {
    const next = seq + 1 < size ? walk.read(seq + 1) : null;
    walk.judge(row, next);
    yield seq + 1;
    row = next;
  }
  return walk.finish(size);
}

/** A record as it lies there: `own` is what its bytes hash to, `node` what the tree has for it. */
type Row = {
  seq: number;
  bytes: Uint8Array | null;
  own: Buffer | null;
  node: Buffer | null;
  record: LedgerRecord | null;
  fault: string;
};

class Walk {
  readonly #input: VerifyInput;
  readonly #findings: Finding[] = [];
  readonly #signatures = { checked: 0, unsigned: 0, unknownKey: 0 };
  readonly #keys = new Map<string, { key: KeyObject; fingerprint: string } | null>();
  #count = 0;
  /** The leaf of the record before, as it was decided. */
  #previous: Buffer | null = null;
  #range: Range = EMPTY_RANGE;
  #rangeKnown = true;

  constructor(input: VerifyInput) {
    this.#input = input;
  }

  start(size: number): void {
    const { head, note, reach } = this.#input;
    if (reach > head.size)
      this.#report(head.size, "index", { at: "head" }, `a head over ${reach} records`, `one over ${head.size}`);
    if (note === "missing" && size > 0) this.#report(size, "missing", { at: "note" }, "a head note", "nothing");
    if (note === "unreadable")
      this.#report(size, "altered", { at: "note" }, "the head note of this book", "other bytes");
    this.#compareNote();
  }

  read(seq: number): Row {
    const { stored } = this.#input;
    const node = attempt(() => stored.node(0, seq));
    const bytes = attempt(() => stored.record(seq));
    const own = bytes.value === null ? null : leafHash(bytes.value);
    const opened = bytes.value === null ? null : attempt(() => openRecord(bytes.value as Uint8Array));
    return {
      seq,
      bytes: bytes.value,
      own,
      node: node.value === null ? null : Buffer.from(node.value),
      record: opened?.value ?? null,
      fault: bytes.fault ?? opened?.fault ?? "nothing",
    };
  }

  /** Decides what the leaf of a row is, names what disagrees with it and takes the leaf into the tree. */
  judge(row: Row, next: Row | null): void {
    const claimed = this.#claimOn(row, next);
    const leaf = row.own === null ? this.#judgeMissing(row, claimed) : this.#judgePresent(row, row.own, claimed, next);
    if (row.own !== null && leaf !== null && row.own.equals(leaf)) this.#inspect(row);
    this.#grow(leaf);
    this.#previous = leaf;
  }

  finish(size: number): VerifyOutcome {
    const { head, note, reach } = this.#input;
    const root = rootOf(this.#range);
    const noted = note !== null && typeof note === "object" ? note.size : 0;
    if (reach < head.size) {
      this.#report(reach, "truncated", recordAt(reach), `records up to ${Math.max(head.size, noted) - 1}`, "nothing");
    } else if (noted > size) {
      this.#report(size, "truncated", recordAt(size), `${noted} records by the head note`, `${size} records`);
    }
    if (this.#rangeKnown && head.size === size && !root.equals(head.root)) {
      this.#report(Math.max(0, size - 1), "index", { at: "head" }, hex(root), hex(head.root));
    }
    return { findings: this.#findings, count: this.#count, size, root, signatures: this.#signatures };
  }

  /** What the record after a row, or the head after the last, says of the row's leaf; null when it cannot be asked. */
  #claimOn(row: Row, next: Row | null): Buffer | null {
    const { head } = this.#input;
    if (next === null) return row.seq + 1 === head.size && head.tip !== null ? Buffer.from(head.tip) : null;
    const isTrusted = next.record !== null && next.own !== null && next.node !== null && next.own.equals(next.node);
    return isTrusted ? Buffer.from(next.record?.prev ?? "", "hex") : null;
  }

  #judgeMissing(row: Row, claimed: Buffer | null): Buffer | null {
    if (row.seq < this.#input.reach) {
      this.#report(row.seq, "missing", recordAt(row.seq), hex(row.node ?? claimed), row.fault);
    }
    return row.node ?? claimed;
  }

  #judgePresent(row: Row, own: Buffer, claimed: Buffer | null, next: Row | null): Buffer {
    const { seq, node } = row;
    const fitsClaim = claimed?.equals(own) ?? false;
    if (node?.equals(own)) {
      if (claimed === null || fitsClaim) return own;
      if (!this.#parentBacks(seq, claimed, next)) {
        this.#reportBrokenChain(seq, own, claimed);
        return own;
      }
      this.#reportNode(0, seq, claimed, own);
      this.#report(seq, "altered", recordAt(seq), hex(claimed), hex(own));
      return claimed;
    }
    const expected = fitsClaim ? own : (node ?? claimed ?? own);
    if (node === null || fitsClaim) this.#reportNode(0, seq, expected, node);
    if (!expected.equals(own)) this.#report(seq, "altered", recordAt(seq), hex(expected), hex(own));
    return expected;
  }

  /** Whether the node above a leaf was made from what the next record says of it: then record and leaf were both changed. */
  #parentBacks(seq: number, claimed: Buffer, next: Row | null): boolean {
    const parent = attempt(() => this.#input.stored.node(1, Math.floor(seq / 2))).value;
    const isLeft = seq % 2 === 0;
    const sibling = isLeft ? (next?.own ?? null) : this.#previous;
    if (parent === null || sibling === null) return false;
    return (isLeft ? nodeHash(claimed, sibling) : nodeHash(sibling, claimed)).equals(parent);
  }

  #reportBrokenChain(seq: number, own: Buffer, claimed: Buffer): void {
    const isLast = seq + 1 === this.#input.head.size;
    const place: Place = isLast ? { at: "head" } : recordAt(seq + 1);
    this.#report(isLast ? seq : seq + 1, isLast ? "index" : "broken-chain", place, hex(own), hex(claimed));
  }

  /** Looks at what a record says, once its bytes are known to be those of the tree. */
  #inspect(row: Row): void {
    const { seq, record } = row;
    if (record === null)
      return this.#report(seq, "not-canonical", recordAt(seq), "the canonical form of a record", row.fault);
    if (record.seq !== seq) this.#report(seq, "broken-chain", recordAt(seq), `seq ${seq}`, `seq ${record.seq}`);
    if (seq === 0 && record.prev !== NO_PREVIOUS)
      this.#report(0, "broken-chain", recordAt(0), NO_PREVIOUS, record.prev);
    this.#checkId(seq, record);
    this.#checkSignature(seq, record);
  }

  #checkId(seq: number, record: LedgerRecord): void {
    const id = (record.event as { id?: unknown }).id;
    if (typeof id !== "string") return this.#report(seq, "not-canonical", recordAt(seq), "an event with an id", "none");
    const found = attempt(() => this.#input.stored.seqOf(id));
    if (found.value !== seq)
      this.#report(seq, "index", { at: "id", id }, `record ${seq}`, String(found.value ?? found.fault ?? "nothing"));
  }

  #checkSignature(seq: number, record: LedgerRecord): void {
    if (record.sig === null) {
      this.#signatures.unsigned += 1;
      return;
    }
    const known = this.#keyOf(record.sig.by);
    if (known === null || known.fingerprint !== record.sig.key) {
      this.#signatures.unknownKey += 1;
      return;
    }
    this.#signatures.checked += 1;
    if (!verifySignature(known.key, canonicalBytes(record.event), record.sig.value)) {
      this.#report(
        seq,
        "bad-signature",
        recordAt(seq),
        `a signature by key ${record.sig.key} of ${record.sig.by}`,
        record.sig.value,
      );
    }
  }

  #keyOf(name: string): { key: KeyObject; fingerprint: string } | null {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const raw = this.#input.keyOf(name);
    const key = raw === null ? null : importPublicKey(raw);
    const entry = raw === null || key === null ? null : { key, fingerprint: fingerprint(raw) };
    this.#keys.set(name, entry);
    return entry;
  }

  /** Takes a leaf into the tree and compares the inner nodes that it completes. Ends where a leaf is not known. */
  #grow(leaf: Buffer | null): void {
    if (leaf === null) this.#rangeKnown = false;
    if (leaf === null || !this.#rangeKnown) return;
    const { range, completed } = appendLeaf(this.#range, leaf);
    this.#range = range;
    for (const { level, index, hash } of completed.slice(1)) {
      const found = attempt(() => this.#input.stored.node(level, index)).value;
      if (found === null || !hash.equals(found)) this.#reportNode(level, index, hash, found);
    }
    this.#compareNote();
  }

  #compareNote(): void {
    const { note } = this.#input;
    if (note === null || typeof note === "string" || note.size !== this.#range.size) return;
    const root = rootOf(this.#range);
    if (!root.equals(note.root)) {
      this.#report(Math.max(0, note.size - 1), "forked", { at: "note" }, hex(note.root), hex(root));
    }
  }

  /** A node stands for the records below it; it is named at the first of them. */
  #reportNode(level: number, index: number, expected: Uint8Array, found: Uint8Array | null): void {
    this.#report(index * 2 ** level, "index", { at: "node", level, index }, hex(expected), hex(found));
  }

  #report(seq: number, kind: FindingKind, place: Place, expected: string, found: string): void {
    this.#count += 1;
    if (this.#findings.length < NAMED_MAXIMUM) this.#findings.push({ seq, kind, place, expected, found });
  }
}

function recordAt(seq: number): Place {
  return { at: "record", seq };
}

function hex(bytes: Uint8Array | null): string {
  return bytes === null ? "nothing" : Buffer.from(bytes).toString("hex");
}

/** Reads one place; what cannot be read counts as not there, with the reason kept. */
function attempt<T>(read: () => T | undefined): { value: T | null; fault: string | null } {
  try {
    return { value: read() ?? null, fault: null };
  } catch (thrown) {
    return { value: null, fault: thrown instanceof Error ? `unreadable: ${thrown.message}` : "unreadable" };
  }
}
