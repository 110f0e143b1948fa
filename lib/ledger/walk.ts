import { attempt, type FindingKind, type Findings, hex, type Place, recordAt } from "./findings.ts";
import { HASH_LENGTH, leafHash } from "./hash.ts";
import { NO_PREVIOUS } from "./record.ts";
import { RecordForms } from "./record-forms.ts";
import { SignatureCheck, SignerKeys } from "./signature-check.ts";
import {
  foldedIn,
  hashIn,
  isKept,
  nodesIn,
  TILE_HEIGHT,
  TILE_WIDTH,
  tileOf,
  type TilePlace,
  type TileReader,
} from "./tiles.ts";
import { growRange, type NodeReader, type Range, rangeOf, rootOf, subtreesOf } from "./tree.ts";

/** What lies in the store. A reader that fails on one place says so by throwing; that place counts as unreadable. */
export type StoredBook = {
  record(seq: number): Uint8Array | undefined;
  tile: TileReader;
  seqOf(id: string): number | undefined;
};

/** What somebody has noted of the book at a size: its root then, and where the note is. */
export type KnownRoot = { size: number; root: Uint8Array; place: Place };

export type WalkInput = {
  stored: StoredBook;
  /** The store's own idea of its head. */
  head: { size: number; tip: Uint8Array | null; range: Range | null };
  /** One more than the highest record number that the store has. */
  reach: number;
  known: readonly KnownRoot[];
  keyOf: (name: string) => Uint8Array | null;
  findings: Findings;
};

/** Records from `first` on of which every hash, link and node was found to be what it should be. */
export type SoundBlock = {
  first: number;
  count: number;
  /** `prev` of the first record, hexadecimal. */
  prev: string;
  /** Leaf of the last record, hexadecimal. */
  last: string;
  /** The perfect subtrees that make the block up, from the left. */
  peaks: readonly { level: number; hash: Uint8Array }[];
};

/** A record as it lies there: `own` is what its bytes hash to, `node` what the tree has for it. */
type Row = {
  seq: number;
  own: Buffer | null;
  node: Buffer | null;
  record: ReturnType<RecordForms["open"]> | null;
  fault: string;
};

/**
 * Goes through a book in order, record by record or over blocks that are known to be sound, and names what does not
 * agree.
 *
 * One fault is named once: what a record's leaf should be is decided among the record's own hash, the leaf node and
 * the `prev` of the record after it, and everything that follows is judged by that leaf.
 */
export class Walk {
  readonly #input: WalkInput;
  readonly #size: number;
  readonly #known: ReadonlyMap<number, KnownRoot[]>;
  readonly #from: number;
  readonly signatures: SignatureCheck;
  readonly #forms = new RecordForms();
  /** The leaf of the record before, as it was decided. */
  #previous: Buffer | null = null;
  #range: Range;
  #rangeKnown = true;
  /** The last tile of which a hash was missing. */
  #lost: TilePlace | null = null;

  /** @param from - the first record to be walked; what lies before it is taken from the tree as it is. */
  constructor(input: WalkInput, from = 0) {
    this.#input = input;
    this.#from = from;
    this.#known = Map.groupBy(input.known, ({ size }) => size);
    this.#size = Math.max(input.head.size, input.reach);
    this.signatures = new SignatureCheck(new SignerKeys(input.keyOf));
    this.#range = { size: from, hashes: [] };
    if (from > 0) this.#beginWithin(from);
    this.#compareKnown();
  }

  /** Over the leaves as the tree has them; over those before the first unknown one where a leaf is not known. */
  get root(): Buffer {
    return rootOf(this.#range);
  }

  /** Whether the leaves of all records so far are known, and {@link Walk.root} is over them. */
  get isRootKnown(): boolean {
    return this.#rangeKnown;
  }

  /** Walks records begin to end - 1; yields the number of records done after each, so that other work can be let in. */
  *over(begin: number, end: number): Generator<number, void> {
    let row = begin < end ? this.#read(begin) : null;
    for (let seq = begin; row !== null; seq += 1) {
      const next: Row | null = seq + 1 < this.#size ? this.#read(seq + 1) : null;
      this.#judge(row, next);
      yield seq + 1;
      row = seq + 1 < end ? next : null;
    }
  }

  /**
   * Takes a block of sound records into the tree, which follows on what was walked. Its own nodes have been compared;
   * those above it are compared here.
   */
  take(block: SoundBlock): void {
    if (block.first === this.#from) this.#checkContinues(block.first, block.prev);
    this.#compareKnownWithin(block);
    for (const { level, hash } of block.peaks) this.#growBy(level, Buffer.from(hash));
    this.#previous = Buffer.from(block.last, "hex");
  }

  #beginWithin(from: number): void {
    const range = attempt(() => rangeOf(from, this.#nodesOrReport()));
    if (range.value === null) this.#rangeKnown = false;
    else this.#range = range.value;
    this.#previous = this.#stored(0, from - 1);
  }

  /** A node of a kept level; null where there is none, or it cannot be read. */
  #stored(level: number, index: number): Buffer | null {
    const place = tileOf(level, index);
    return attempt(() => hashIn(this.#input.stored.tile(place.level, place.index), place.at)).value;
  }

  #nodesOrReport(): NodeReader {
    const read: TileReader = (level, index) => attempt(() => this.#input.stored.tile(level, index)).value ?? undefined;
    return nodesIn(read, (level, index) => {
      this.#report(index * 2 ** level, "index", { at: "node", level, index }, "a hash", "nothing");
      return new RangeError("a node is missing");
    });
  }

  #read(seq: number): Row {
    const { stored } = this.#input;
    const bytes = attempt(() => stored.record(seq));
    const own = bytes.value === null ? null : leafHash(bytes.value);
    const opened = bytes.value === null ? null : attempt(() => this.#forms.open(bytes.value as Uint8Array));
    return {
      seq,
      own,
      node: this.#stored(0, seq),
      record: opened?.value ?? null,
      fault: bytes.fault ?? opened?.fault ?? "nothing",
    };
  }

  /** Decides what the leaf of a row is, names what disagrees with it and takes the leaf into the tree. */
  #judge(row: Row, next: Row | null): void {
    const claimed = this.#claimOn(row, next);
    const leaf = row.own === null ? this.#judgeMissing(row, claimed) : this.#judgePresent(row, row.own, claimed);
    if (row.own !== null && leaf !== null && row.own.equals(leaf)) this.#inspect(row);
    if (leaf === null) this.#rangeKnown = false;
    else this.#growBy(0, leaf);
    this.#previous = leaf;
  }

  /** What the record after a row, or the head after the last, says of the row's leaf; null when it cannot be asked. */
  #claimOn(row: Row, next: Row | null): Buffer | null {
    const { head } = this.#input;
    if (next === null) return row.seq + 1 === head.size && head.tip !== null ? Buffer.from(head.tip) : null;
    const isTrusted = next.record !== null && next.own !== null && (next.node?.equals(next.own) ?? true);
    return isTrusted ? Buffer.from(next.record?.prev ?? "", "hex") : null;
  }

  #judgeMissing(row: Row, claimed: Buffer | null): Buffer | null {
    if (row.seq < this.#input.reach) {
      this.#report(row.seq, "missing", recordAt(row.seq), hex(row.node ?? claimed), row.fault);
    }
    if (row.node === null || claimed === null || row.node.equals(claimed)) return row.node ?? claimed;
    if (!this.#treeBacks(row.seq, claimed)) return row.node;
    this.#reportNode(0, row.seq, claimed, row.node);
    return claimed;
  }

  #judgePresent(row: Row, own: Buffer, claimed: Buffer | null): Buffer {
    const { seq, node } = row;
    const fitsClaim = claimed?.equals(own) ?? false;
    if (node?.equals(own)) {
      if (claimed === null || fitsClaim) return own;
      if (!this.#treeBacks(seq, claimed)) {
        this.#reportBrokenChain(seq, own, claimed);
        return own;
      }
      this.#reportNode(0, seq, claimed, own);
      this.#report(seq, "altered", recordAt(seq), hex(claimed), hex(own));
      return claimed;
    }
    const expected = fitsClaim ? own : (node ?? claimed ?? own);
    if (node === null || fitsClaim) this.#reportNode(0, seq, expected, node);
    if (!expected.equals(own)) this.#reportOtherBytes(row, own, expected);
    return expected;
  }

  /** Bytes that are whole, but those of another place, were moved; others were altered. */
  #reportOtherBytes({ seq, record }: Row, own: Buffer, expected: Buffer): void {
    const claims = record?.seq ?? seq;
    const home = claims === seq ? null : this.#stored(0, claims);
    if (home !== null && own.equals(home)) {
      this.#report(seq, "reordered", recordAt(seq), `record ${seq}`, `record ${claims}`);
    } else {
      this.#report(seq, "altered", recordAt(seq), hex(expected), hex(own));
    }
  }

  /** Whether what is above a leaf was made from what the next record says of it: then record and leaf were both changed. */
  #treeBacks(seq: number, claimed: Buffer): boolean {
    const above = this.#aboveLeaf(seq);
    const place = tileOf(0, seq);
    const tile = attempt(() => this.#input.stored.tile(place.level, place.index)).value;
    if (above === null || hashIn(tile ?? undefined, place.at) === undefined) return false;
    const asClaimed = Buffer.from(tile as Uint8Array);
    asClaimed.set(claimed, place.at * HASH_LENGTH);
    return foldedIn(asClaimed, above.first % TILE_WIDTH, above.level)?.equals(above.hash) ?? false;
  }

  /** The root that is kept of the leaves around one: in the tiles above, or by the head where its tile is not whole. */
  #aboveLeaf(seq: number): { first: number; level: number; hash: Buffer } | null {
    const { range } = this.#input.head;
    const first = seq - (seq % TILE_WIDTH);
    if (range === null || first + TILE_WIDTH <= range.size) {
      const hash = this.#stored(TILE_HEIGHT, first / TILE_WIDTH);
      return hash === null ? null : { first, level: TILE_HEIGHT, hash };
    }
    const peaks = subtreesOf(0, range.size).map(({ level, index }, at) => {
      return { first: index * 2 ** level, level, hash: range.hashes[at] as Buffer };
    });
    return peaks.find((peak) => peak.first <= seq && seq < peak.first + 2 ** peak.level) ?? null;
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
    this.#checkId(seq, record.id);
    const fault = this.signatures.faultOf(record.signed);
    if (fault !== null) this.#report(seq, fault.kind, recordAt(seq), fault.expected, fault.found);
  }

  /** Between two records that are walked, what the later one says is weighed as a word on the earlier one. */
  #checkContinues(seq: number, prev: string): void {
    const expected = seq === 0 ? NO_PREVIOUS : (this.#previous?.toString("hex") ?? prev);
    if (prev !== expected) this.#report(seq, "broken-chain", recordAt(seq), expected, prev);
  }

  #checkId(seq: number, id: string | null): void {
    if (id === null) return this.#report(seq, "not-canonical", recordAt(seq), "an event with an id", "none");
    const found = attempt(() => this.#input.stored.seqOf(id));
    if (found.value === seq) return;
    this.#report(seq, "index", { at: "id", id }, `record ${seq}`, String(found.value ?? found.fault ?? "nothing"));
  }

  /** Takes a perfect subtree into the tree and compares the nodes that it completes. Ends where a leaf is not known. */
  #growBy(level: number, hash: Buffer): void {
    if (!this.#rangeKnown) return;
    const { range, completed } = growRange(this.#range, level, hash);
    this.#range = range;
    for (const node of completed.slice(1)) {
      if (!isKept(node.level)) continue;
      const found = this.#stored(node.level, node.index);
      if (found === null || !node.hash.equals(found)) this.#reportNode(node.level, node.index, node.hash, found);
    }
    this.#compareKnown();
  }

  #compareKnown(): void {
    for (const known of this.#known.get(this.#range.size) ?? []) this.#compareRoot(known, this.root);
  }

  /** Inside a sound block the stored nodes are those that were computed. */
  #compareKnownWithin({ first, count }: SoundBlock): void {
    for (const known of this.#input.known) {
      if (!this.#rangeKnown || known.size <= first || known.size >= first + count) continue;
      const node = this.#nodesOrReport();
      const part = attempt(() =>
        rangeOf(known.size - first, (level, index) => node(level, first / 2 ** level + index)),
      ).value;
      if (part !== null) this.#compareRoot(known, rootOf({ ...part, hashes: [...this.#range.hashes, ...part.hashes] }));
    }
  }

  #compareRoot({ size, root: expected, place }: KnownRoot, root: Buffer): void {
    if (this.#rangeKnown && !root.equals(expected)) {
      this.#report(Math.max(0, size - 1), "forked", place, hex(expected), hex(root));
    }
  }

  /** A node stands for the records below it; it is named at the first of them. A tile that is gone is named once. */
  #reportNode(level: number, index: number, expected: Uint8Array, found: Uint8Array | null): void {
    const place = tileOf(level, index);
    if (found === null && this.#lost?.level === place.level && this.#lost.index === place.index) return;
    if (found === null) this.#lost = place;
    this.#report(index * 2 ** level, "index", { at: "node", level, index }, hex(expected), hex(found));
  }

  #report(seq: number, kind: FindingKind, place: Place, expected: string, found: string): void {
    this.#input.findings.report(seq, kind, place, expected, found);
  }
}
