import { canonicalBytes, canonicalString, canonicalText } from "./canonical.ts";
import { LedgerError } from "./error.ts";
import { sha256 } from "./hash.ts";

/** The longest record, in bytes of its canonical form. Larger payloads go in by their hash. */
export const RECORD_MAXIMUM = 65_535;

/** `prev` of the first record. */
export const NO_PREVIOUS: string = "0".repeat(64);

/** Who signed the event: `key` is the fingerprint of the public key, `value` the signature in base64. */
export type RecordSignature = { by: string; key: string; value: string };

/** How the event came: `name` is the machine or service whose topic it came on, never a person's login. */
export type RecordVia = { kind: "request" | "outbox" | "internal"; name: string | null; session: string | null };

/** What the service adds to the origin's event: the outcome, the actor's role at that time, and what it changed. */
export type RecordAdded = {
  result: "booked" | "refused" | "quarantined";
  code: string | null;
  role: string | null;
  rev: number | null;
  before: unknown;
  after: unknown;
  flags: string[];
};

/** One record of a book. The stored bytes are its canonical JSON, and they are what is hashed. */
export type LedgerRecord = {
  v: 1;
  seq: number;
  /** Leaf hash of the record before, in hexadecimal; 64 zeros at 0. */
  prev: string;
  /** When the service received the event, by its own clock. */
  recv: string;
  /** The origin's event, unchanged: its canonical form is what the origin signed. */
  event: unknown;
  sig: RecordSignature | null;
  via: RecordVia;
  added: RecordAdded;
};

/**
 * Gives a record its stored form.
 *
 * @param eventText - the canonical text of `record.event`, where the caller has it already; it is taken on trust.
 * @throws LedgerError `too-large` beyond 65,535 bytes, `not-canonical` for a value without canonical form.
 */
export function sealRecord(record: Omit<LedgerRecord, "v">, eventText?: string): { bytes: Buffer; leaf: Buffer } {
  // One buffer for the leaf's 0x00 and the record, so that hashing needs no copy.
  const input = Buffer.from(`\0${assemble(record, eventText ?? canonicalText(record.event))}`);
  const bytes = input.subarray(1);
  if (bytes.length > RECORD_MAXIMUM) {
    throw new LedgerError(
      "too-large",
      `Sealing a record failed: it has ${bytes.length} bytes, expected ${RECORD_MAXIMUM} or fewer.`,
    );
  }
  return { bytes, leaf: sha256(input) };
}

/** The members are written in their canonical order, each in its canonical form: together that is the canonical form. */
function assemble({ prev, recv, seq, sig, via, added }: Omit<LedgerRecord, "v">, eventText: string): string {
  const parts = `{"added":${textOfAdded(added)},"event":${eventText},"prev":${quoted(prev)},"recv":${quoted(recv)}`;
  return `${parts},"seq":${canonicalText(seq)},"sig":${textOfSignature(sig)},"v":1,"via":${textOfVia(via)}}`;
}

const quoted = canonicalString;

function textOfAdded({ after, before, code, flags, result, rev, role }: RecordAdded): string {
  const changes = `"after":${canonicalText(after)},"before":${canonicalText(before)}`;
  const outcome = `"code":${quoted(code)},"flags":${canonicalText(flags)},"result":${quoted(result)}`;
  return `{${changes},${outcome},"rev":${canonicalText(rev)},"role":${quoted(role)}}`;
}

function textOfSignature(sig: RecordSignature | null): string {
  return sig === null ? "null" : `{"by":${quoted(sig.by)},"key":${quoted(sig.key)},"value":${quoted(sig.value)}}`;
}

function textOfVia({ kind, name, session }: RecordVia): string {
  return `{"kind":${quoted(kind)},"name":${quoted(name)},"session":${quoted(session)}}`;
}

/**
 * Reads stored bytes back.
 *
 * @throws LedgerError `not-canonical` when the bytes are not exactly the canonical form of a record of version 1.
 */
export function openRecord(bytes: Uint8Array): LedgerRecord {
  const value = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  if (!isRecord(value))
    throw new LedgerError("not-canonical", "Reading a record failed: it lacks members of a record.");
  // Bytes, not text: a broken UTF-8 sequence reads as U+FFFD and would pass for it.
  if (!canonicalBytes(value).equals(bytes)) {
    throw new LedgerError("not-canonical", "Reading a record failed: its bytes are not the canonical form.");
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LedgerError("not-canonical", "Reading a record failed: it is not JSON.", { cause });
  }
}

/** In the order of the canonical form: what has them in another is none. */
const MEMBERS = "added,event,prev,recv,seq,sig,v,via";

function isRecord(value: unknown): value is LedgerRecord {
  if (!isObject(value) || Object.keys(value).join() !== MEMBERS) return false;
  const { added, event, prev, recv, seq, sig, v, via } = value;
  return (
    v === 1 &&
    Number.isSafeInteger(seq) &&
    typeof prev === "string" &&
    typeof recv === "string" &&
    isObject(event) &&
    isObject(via) &&
    isAdded(added) &&
    (sig === null || isSignature(sig))
  );
}

function isAdded(value: unknown): boolean {
  return isObject(value) && typeof value["result"] === "string" && Array.isArray(value["flags"]);
}

function isSignature(value: unknown): boolean {
  return isObject(value) && [value["by"], value["key"], value["value"]].every((member) => typeof member === "string");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
