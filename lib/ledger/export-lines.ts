import { canonicalText } from "./canonical.ts";
import { LedgerError } from "./error.ts";
import { HASH_LENGTH } from "./hash.ts";
import { RECORD_MAXIMUM } from "./record.ts";
import { subtreesOf } from "./tree.ts";

/*
 * The lines of an export (docs/ledger-format.md, "Export"). Each is canonical JSON, so that a line has one form only,
 * and the bytes of a record are in it as they are stored.
 */

/** The longest line, in bytes without its line break: readers need no more memory, whatever they are given. */
export const LINE_MAXIMUM: number = 2 * RECORD_MAXIMUM;

/** The first line. `root` and `size` are those of the checkpoint in the last line where there is one. */
export type ExportHeader = {
  rastro: "export";
  v: 1;
  book: string;
  origin: string;
  size: number;
  /** In hexadecimal. */
  root: string;
  /** What was asked for; nobody signs it. */
  filter: { readonly [name: string]: unknown };
  /** An instant; nobody signs it. */
  madeAt: string;
};

/** Records that are not in the export, with the roots of the perfect subtrees over them. */
export type ExportGap = { from: number; to: number; hashes: Buffer[] };

/** The last line. `sha256` is over every byte before it, in hexadecimal. */
export type ExportTrailer = {
  /** A signed note with its cosignatures; null while the book has none. */
  checkpoint: string | null;
  records: number;
  omitted: number;
  unreadable: number;
  sha256: string;
};

export type ExportLine =
  | { kind: "header"; header: ExportHeader }
  /** `bytes` as they are stored. */
  | { kind: "record"; seq: number; bytes: Buffer }
  /** `omitted`: the filter left them out; `unreadable`: their bytes are damaged in the book, their hashes are not. */
  | { kind: "omitted" | "unreadable"; gap: ExportGap }
  | { kind: "trailer"; trailer: ExportTrailer };

/** Between these two are the stored bytes of a record, whatever they are. */
const RECORD_START = Buffer.from('{"record":');
const RECORD_END = /,"seq":(0|[1-9]\d{0,15})\}$/;
/** The longest that {@link RECORD_END} can be, in bytes. */
const RECORD_END_MAXIMUM = 24;

/** Without the line break. @throws LedgerError `not-canonical`. */
export function headerLine(header: ExportHeader): string {
  return canonicalText(header);
}

/** The bytes have to be the canonical form of the record `seq`: then the line is canonical as well. */
export function recordLine(seq: number, bytes: Uint8Array): string {
  return `{"record":${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")},"seq":${seq}}`;
}

export function gapLine(kind: "omitted" | "unreadable", gap: ExportGap): string {
  return canonicalText({ hashes: gap.hashes.map((hash) => hash.toString("hex")), [kind]: [gap.from, gap.to] });
}

export function trailerLine(trailer: ExportTrailer): string {
  return canonicalText(trailer);
}

/**
 * Reads one line of an export.
 *
 * @param line - without its line break.
 * @throws LedgerError `bad-export`; the message says what was expected, without the line's number.
 */
export function parseExportLine(line: Uint8Array): ExportLine {
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
  if (bytes.length > LINE_MAXIMUM) throw badLine(`it is longer than ${LINE_MAXIMUM} bytes`);
  return bytes.subarray(0, RECORD_START.length).equals(RECORD_START) ? parseRecord(bytes) : parseOther(bytes);
}

function parseRecord(bytes: Buffer): ExportLine {
  const end = RECORD_END.exec(bytes.toString("latin1", Math.max(0, bytes.length - RECORD_END_MAXIMUM)));
  const seq = Number(end?.[1] ?? Number.NaN);
  if (end === null || !Number.isSafeInteger(seq)) throw badLine("a record has no number");
  return { kind: "record", seq, bytes: bytes.subarray(RECORD_START.length, bytes.length - end[0].length) };
}

function parseOther(bytes: Buffer): ExportLine {
  const value = parseCanonical(bytes);
  if (value["rastro"] !== undefined) return { kind: "header", header: parseHeader(value) };
  if (value["sha256"] !== undefined) return { kind: "trailer", trailer: parseTrailer(value) };
  const kind = value["unreadable"] === undefined ? "omitted" : "unreadable";
  return { kind, gap: parseGap(value, kind) };
}

function parseCanonical(bytes: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
    if (isObject(value) && Buffer.from(canonicalText(value)).equals(bytes)) return value;
  } catch {
    // What is no JSON, or has no canonical form, is refused below as any other line.
  }
  throw badLine("it is no object in canonical JSON");
}

function parseHeader(value: Record<string, unknown>): ExportHeader {
  const { rastro, v, book, origin, size, root, filter, madeAt } = value;
  if (rastro !== "export") throw badLine("it is no export of Rastro");
  if (v !== 1) throw badLine(`it is version ${String(v)} of the format, expected 1`);
  const fits =
    hasMembers(value, ["book", "filter", "madeAt", "origin", "rastro", "root", "size", "v"]) &&
    [book, origin, madeAt].every((text) => typeof text === "string" && text !== "") &&
    isCount(size) &&
    isHash(root) &&
    isObject(filter);
  if (!fits) throw badLine("a member of the header is missing, unknown or of another type");
  return value as ExportHeader;
}

function parseGap(value: Record<string, unknown>, kind: "omitted" | "unreadable"): ExportGap {
  const { [kind]: range, hashes } = value;
  if (!hasMembers(value, ["hashes", kind])) throw badLine("it is no line of an export");
  const [from, to] = Array.isArray(range) && range.length === 2 && range.every(isCount) ? (range as number[]) : [];
  if (from === undefined || to === undefined || from >= to) throw badLine(`"${kind}" is no range of records`);
  const expected = subtreesOf(from, to).length;
  if (!Array.isArray(hashes) || hashes.length !== expected || !hashes.every(isHash)) {
    throw badLine(`the records ${from} to ${to - 1} need ${expected} hashes`);
  }
  return { from, to, hashes: hashes.map((hash) => Buffer.from(hash as string, "hex")) };
}

function parseTrailer(value: Record<string, unknown>): ExportTrailer {
  const { checkpoint, records, omitted, unreadable, sha256 } = value;
  const fits =
    hasMembers(value, ["checkpoint", "omitted", "records", "sha256", "unreadable"]) &&
    (checkpoint === null || typeof checkpoint === "string") &&
    [records, omitted, unreadable].every(isCount) &&
    isHash(sha256);
  if (!fits) throw badLine("a member of the last line is missing, unknown or of another type");
  return value as ExportTrailer;
}

function hasMembers(value: Record<string, unknown>, names: readonly string[]): boolean {
  return Object.keys(value).join() === names.join();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHash(value: unknown): boolean {
  return typeof value === "string" && value.length === 2 * HASH_LENGTH && /^[0-9a-f]*$/.test(value);
}

function badLine(why: string): LedgerError {
  return new LedgerError("bad-export", `Reading a line of the export failed: ${why}.`);
}
