import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { BackupFault, BackupHeader, BackupReport } from "../../contracts/backup.ts";
import { RastroError } from "../../contracts/errors.ts";
import { parseCheckpoint, type TreeHead } from "../../ledger/checkpoint.ts";
import { leafHash } from "../../ledger/hash.ts";
import { hashIn, TILE_WIDTH } from "../../ledger/tiles.ts";
import { appendLeaf, EMPTY_RANGE, type Range, rootOf } from "../../ledger/tree.ts";
import { decodeHead } from "../book/head-state.ts";
import { HEAD_KEY, readU64 } from "../keys.ts";
import { damagedBackup, readBackup } from "./read.ts";

/** How many faults are named. */
const NAMED_MAXIMUM = 100;

const RECORD = 0x72;
const TREE = 0x6e;
/** Where a store of this format had a row for each leaf, and not a tile for 16. */
const WITHOUT_TILES = "1";

export type CheckOptions = {
  /** Bytes read, of all. */
  onProgress?: (done: number, of: number) => void;
  /** False looks at frames and keys only, not at what the records of a book hash to. */
  book?: boolean;
  /** Sizes of the book over whose first records the root is wanted. */
  rootsAt?: readonly number[];
  now?: () => number;
};

/** `roots`: the root over the first so many records, for each size that was asked for and is in the backup. */
export type Checked = { report: BackupReport; roots: ReadonlyMap<number, Buffer> };

/**
 * Reads a backup through and looks whether it is whole: every frame, the whole, the order of the keys; and of a book
 * every leaf, recomputed from the records, the tree's own leaves, and both roots against the head that it carries.
 *
 * @throws RastroError `backup_format`; what the disk throws. Damage is in the report.
 */
export async function checkBackup(file: string, o: CheckOptions = {}): Promise<Checked> {
  const now = o.now ?? Date.now;
  const startedAt = now();
  const found = new Findings();
  let header: BackupHeader | null = null;
  const { size: bytes } = await stat(file);
  let end = { rows: 0, sha256: "0".repeat(64) };
  const content = new ContentCheck(o.rootsAt ?? []);
  try {
    for await (const part of readBackup(file)) {
      if (part.part === "fault") found.add(part.fault);
      if (part.part === "header") {
        header = part.header;
        content.begin(header);
      }
      if (part.part === "end") end = part;
      if (part.part !== "rows") continue;
      for (const [key, value] of part.rows) content.take(key, value);
      o.onProgress?.(part.offset, bytes);
    }
  } catch (thrown) {
    if (!(thrown instanceof RastroError) || thrown.code !== "backup_damaged") throw thrown;
    found.add({ offset: 0, frame: 0, what: "it does not begin as a backup does" });
  }
  // What is missing was named already; roots over the rest would only say it again.
  if (found.count === 0)
    for (const what of content.faults(o.book === false ? null : header)) found.add({ offset: bytes, frame: 0, what });
  const report = {
    ok: found.count === 0,
    name: basename(file),
    header,
    bytes,
    rows: end.rows,
    sha256: end.sha256,
    records: content.records,
    faults: found.named,
    tookMs: Math.max(0, Math.round(now() - startedAt)),
  };
  return { report, roots: content.roots };
}

/** As {@link checkBackup}. @throws RastroError `backup_damaged` too, when anything is wrong with it. */
export async function requireWholeBackup(file: string, o: CheckOptions = {}): Promise<Checked> {
  const checked = await checkBackup(file, o);
  if (!checked.report.ok) throw damagedBackup(file, checked.report.faults);
  return checked;
}

class Findings {
  readonly named: BackupFault[] = [];
  count = 0;

  add(fault: BackupFault): void {
    this.count += 1;
    if (this.named.length < NAMED_MAXIMUM) this.named.push(fault);
  }
}

/** What the rows say together, in constant memory: they come in the order of their keys. */
class ContentCheck {
  readonly roots = new Map<number, Buffer>();
  readonly #wanted: Set<number>;
  #signed: Pick<TreeHead, "size" | "root"> | null = null;
  #previous: Buffer | null = null;
  #disorder: string | null = null;
  #head: Buffer | undefined;
  #byRecords: Range = EMPTY_RANGE;
  #byLeaves: Range = EMPTY_RANGE;
  #gap: string | null = null;
  #leavesInRow = TILE_WIDTH;

  constructor(wanted: readonly number[]) {
    this.#wanted = new Set(wanted);
  }

  /** The checkpoint that the header carries has to be one of these records. */
  begin({ checkpoint, storeFormat }: BackupHeader): void {
    if (storeFormat === WITHOUT_TILES) this.#leavesInRow = 1;
    if (checkpoint === null) return;
    try {
      this.#signed = parseCheckpoint(checkpoint).head;
      this.#wanted.add(this.#signed.size);
    } catch {
      this.#disorder ??= "the checkpoint in the header does not read as one";
    }
  }

  get records(): number {
    return this.#byRecords.size;
  }

  take(key: Buffer, value: Buffer): void {
    if (this.#previous !== null && Buffer.compare(this.#previous, key) >= 0)
      this.#disorder ??= `key ${key.toString("hex")} does not come after the one before it`;
    this.#previous = key;
    if (key.equals(HEAD_KEY)) this.#head = value;
    else if (key[0] === TREE && key[1] === 0 && key.length === 10) this.#takeLeaves(readU64(key, 2), value);
    else if (key[0] === RECORD && key.length === 9) this.#takeRecord(readU64(key, 1), value);
  }

  *faults(header: BackupHeader | null): Generator<string> {
    if (this.#disorder !== null) yield this.#disorder;
    if (header === null || header.size === null) return;
    if (this.#gap !== null) yield this.#gap;
    const head = decodeHead(this.#head);
    if (head === null) {
      yield "the bytes of the book's head are no head";
      return;
    }
    const inStore = rootOf(head.range).toString("hex");
    if (head.range.size !== header.size || inStore !== header.root)
      yield `the header says ${header.size} records with root ${header.root}, the book's head ${head.range.size} with ${inStore}`;
    yield* disagreement("records", this.#byRecords, header);
    yield* disagreement("leaves of the tree", this.#byLeaves, header);
    if (this.#signed !== null && !this.#isHead(this.#signed))
      yield `the checkpoint over ${this.#signed.size} records has another root than these records`;
  }

  #isHead({ size, root }: Pick<TreeHead, "size" | "root">): boolean {
    return size === 0 || (this.roots.get(size)?.equals(root) ?? false);
  }

  #takeRecord(seq: number, bytes: Buffer): void {
    if (seq !== this.#byRecords.size) this.#gap ??= `record ${this.#byRecords.size} is missing`;
    this.#byRecords = appendLeaf(this.#byRecords, leafHash(bytes)).range;
    const { size } = this.#byRecords;
    if (this.#wanted.has(size)) this.roots.set(size, rootOf(this.#byRecords));
  }

  #takeLeaves(index: number, row: Buffer): void {
    if (index * this.#leavesInRow !== this.#byLeaves.size)
      this.#gap ??= `leaf ${this.#byLeaves.size} of the tree is missing`;
    for (let at = 0, leaf = hashIn(row, at); leaf !== undefined; at += 1, leaf = hashIn(row, at))
      this.#byLeaves = appendLeaf(this.#byLeaves, leaf).range;
  }
}

function* disagreement(what: string, range: Range, header: BackupHeader): Generator<string> {
  const root = rootOf(range).toString("hex");
  if (range.size === header.size && root === header.root) return;
  yield `the ${range.size} ${what} give the root ${root}, expected ${header.size} with ${header.root}`;
}
