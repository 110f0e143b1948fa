import { createHash } from "node:crypto";
import { LedgerError } from "./error.ts";
import { type ExportGap, type ExportHeader, type ExportTrailer, parseExportLine } from "./export-lines.ts";
import { leafHash } from "./hash.ts";
import { type LedgerRecord, NO_PREVIOUS, openRecord } from "./record.ts";
import type { OriginSignatures } from "./origin-signatures.ts";
import { appendLeaf, appendSubtree, EMPTY_RANGE, type Range, rootOf, subtreesOf } from "./tree.ts";

/** What a whole export says. Whether the checkpoint in `trailer` is to be believed is another question. */
export type CheckedExport = { header: ExportHeader; trailer: ExportTrailer };

/**
 * Checks an export line by line, in memory that does not grow with it: rebuilds the tree from the leaves of the records
 * and the subtree roots of what was left out, and compares with what header and last line say.
 *
 * Give it every line with {@link ExportCheck.line}, then ask {@link ExportCheck.finish}. Both throw LedgerError
 * `bad-export` with the one reason; after that the check is over.
 */
export class ExportCheck {
  readonly #signatures: OriginSignatures;
  readonly #digest = createHash("sha256");
  #lines = 0;
  #header: ExportHeader | null = null;
  #trailer: ExportTrailer | null = null;
  #range: Range = EMPTY_RANGE;
  /** Leaf of the record before, in hexadecimal; null when that record is not in the export. */
  #previous: string | null = NO_PREVIOUS;
  readonly #counts = { records: 0, omitted: 0, unreadable: 0 };

  /** @param o.signatures - counts the signatures of the events by those who sent them. */
  constructor(o: { signatures: OriginSignatures }) {
    this.#signatures = o.signatures;
  }

  /** How many records of the book the lines so far stand for. */
  get done(): number {
    return this.#range.size;
  }

  /** Null before the first line. */
  get header(): ExportHeader | null {
    return this.#header;
  }

  /** @param bytes - the line without its line break. */
  line(bytes: Uint8Array): void {
    this.#lines += 1;
    try {
      this.#take(bytes);
    } catch (cause) {
      throw this.#refusal(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  /** @throws LedgerError `bad-export` when the export is not whole. */
  finish(): CheckedExport {
    if (this.#header === null) throw this.#refusal("the file is empty");
    if (this.#trailer === null) throw this.#refusal("the file ends before its last line, which has the checkpoint");
    return { header: this.#header, trailer: this.#trailer };
  }

  #take(bytes: Uint8Array): void {
    if (this.#trailer !== null) throw new Error("something follows the last line");
    const line = parseExportLine(bytes);
    if ((line.kind === "header") !== (this.#header === null)) throw new Error("the header has to be the first line");
    switch (line.kind) {
      case "header":
        this.#header = line.header;
        break;
      case "record":
        this.#takeRecord(line.seq, line.bytes);
        break;
      case "trailer":
        this.#takeTrailer(line.trailer);
        break;
      default:
        this.#takeGap(line.kind, line.gap);
    }
    this.#digest.update(bytes).update("\n");
  }

  #takeRecord(seq: number, bytes: Buffer): void {
    this.#expectNext(seq);
    const record = openRecord(bytes);
    if (record.seq !== seq) throw new Error(`it says that it is record ${seq}, and the record says ${record.seq}`);
    this.#expectPrevious(record);
    this.#signatures.check(record);
    const leaf = leafHash(bytes);
    this.#range = appendLeaf(this.#range, leaf).range;
    this.#previous = leaf.toString("hex");
    this.#counts.records += 1;
  }

  #takeGap(kind: "omitted" | "unreadable", { from, to, hashes }: ExportGap): void {
    this.#expectNext(from);
    for (const [at, { level }] of subtreesOf(from, to).entries()) {
      this.#range = appendSubtree(this.#range, level, hashes[at] as Buffer);
    }
    this.#previous = null;
    this.#counts[kind] += to - from;
  }

  #takeTrailer(trailer: ExportTrailer): void {
    const { size, root } = this.#header as ExportHeader;
    if (this.#range.size !== size) {
      throw new Error(`it stands for ${this.#range.size} records, and the header says ${size}`);
    }
    const { records, omitted, unreadable } = this.#counts;
    if (trailer.records !== records || trailer.omitted !== omitted || trailer.unreadable !== unreadable) {
      throw new Error(
        `it has ${records} records, leaves out ${omitted} and cannot read ${unreadable}, and the last line counts otherwise`,
      );
    }
    const made = rootOf(this.#range).toString("hex");
    if (made !== root) throw new Error(`its records give the root ${made}, and the header says ${root}`);
    const sha256 = this.#digest.copy().digest("hex");
    if (trailer.sha256 !== sha256) throw new Error(`its lines have the SHA-256 ${sha256}, not ${trailer.sha256}`);
    this.#trailer = trailer;
  }

  #expectNext(seq: number): void {
    const { size } = this.#header as ExportHeader;
    if (seq !== this.#range.size) throw new Error(`record ${this.#range.size} is due, and here is record ${seq}`);
    if (seq >= size) throw new Error(`record ${seq} is beyond the ${size} records of the header`);
  }

  #expectPrevious(record: LedgerRecord): void {
    if (this.#previous !== null && record.prev !== this.#previous) {
      throw new Error(`record ${record.seq} does not continue the record before it`);
    }
  }

  #refusal(why: string, cause?: unknown): LedgerError {
    const message = `Checking the export failed in line ${this.#lines}: ${why.replace(/^.*? failed: /, "").replace(/\.$/, "")}.`;
    return new LedgerError("bad-export", message, { cause });
  }
}
