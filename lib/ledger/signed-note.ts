import type { KeyObject } from "node:crypto";
import { LedgerError } from "./error.ts";
import { sha256 } from "./hash.ts";
import { importPublicKey, rawPublicKey, sign, verifySignature } from "./signature.ts";

/*
 * Signed notes (C2SP signed-note v1.0.0): a text, and signatures of it that each name their key.
 */

/** Signature types (signed-note, "Signature types"): what a key with a name signs, and in which form. */
export const SIGNATURE_TYPES = { ed25519: 0x01, cosignature: 0x04 } as const;

export type SignatureType = (typeof SIGNATURE_TYPES)[keyof typeof SIGNATURE_TYPES];

/** One signature line: the key's name and id, and what the key made of the text. */
export type NoteSignature = { name: string; keyId: number; bytes: Buffer };

/** `text` ends with a line break. */
export type SignedNote = { text: string; signatures: NoteSignature[] };

/** A public key with its name: what a "vkey" says. */
export type VerifierKey = { name: string; keyId: number; type: SignatureType; publicRaw: Buffer; key: KeyObject };

/** Longer than any note of ours; a post-quantum signature has 2,420 bytes. */
const NOTE_MAXIMUM = 64 * 1024;
const SIGNATURES_MAXIMUM = 64;
const LINE_START = "— ";

/** The id that goes with a key's name: the first four bytes of SHA-256 over name, line break, type and key. */
export function keyIdOf(name: string, type: SignatureType, publicRaw: Uint8Array): number {
  return sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), publicRaw])).readUInt32BE(0);
}

/** @throws LedgerError `bad-note` for a name that no note may have, or bytes that are no Ed25519 key. */
export function verifierKey(name: string, type: SignatureType, publicRaw: Uint8Array): VerifierKey {
  const key = importPublicKey(publicRaw);
  if (!isKeyName(name) || key === null) {
    throw new LedgerError(
      "bad-note",
      `Naming a key "${name}" failed: expected a name without blanks or "+" and 32 bytes.`,
    );
  }
  return { name, keyId: keyIdOf(name, type, publicRaw), type, publicRaw: Buffer.from(publicRaw), key };
}

/** A key as one line of text, to be written down and carried to others: `name+id+type and key in base64`. */
export function formatVerifierKey({ name, keyId, type, publicRaw }: VerifierKey): string {
  return `${name}+${hex32(keyId)}+${Buffer.concat([Buffer.of(type), publicRaw]).toString("base64")}`;
}

/**
 * Reads what {@link formatVerifierKey} wrote.
 *
 * @throws LedgerError `bad-note` for anything else, also for an id that is not the key's.
 */
export function parseVerifierKey(text: string): VerifierKey {
  // The base64 may hold a "+" of its own; the name must not.
  const [, name = "", id = "", encoded = ""] = /^([^+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [];
  const bytes = decodeBase64(encoded);
  const type = bytes?.[0];
  if (bytes !== null && isSignatureType(type)) {
    const key = verifierKey(name, type, bytes.subarray(1));
    if (hex32(key.keyId) === id) return key;
  }
  throw new LedgerError(
    "bad-note",
    `Reading the key "${text}" failed: expected <name>+<8 hexadecimal digits>+<base64> with an id that fits the key.`,
  );
}

/** @throws LedgerError `bad-note` for a text that no note may have. */
export function formatNote({ text, signatures }: SignedNote): string {
  if (!isNoteText(text)) throw new LedgerError("bad-note", "Writing a note failed: its text has no form of a note's.");
  return `${text}\n${signatures.map(formatSignature).join("")}`;
}

/** A signature as its line in a note, with the line break. */
export function formatSignature({ name, keyId, bytes }: NoteSignature): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId);
  return `${LINE_START}${name} ${Buffer.concat([id, bytes]).toString("base64")}\n`;
}

/**
 * Takes a note apart. Says nothing of whether its signatures fit.
 *
 * @throws LedgerError `bad-note` for what is none.
 */
export function parseNote(note: string): SignedNote {
  const end = note.lastIndexOf("\n\n");
  if (end === -1 || Buffer.byteLength(note) > NOTE_MAXIMUM)
    throw badNote("expected a text, an empty line and signatures");
  const text = note.slice(0, end + 1);
  if (!isNoteText(text)) throw badNote("its text holds control characters or is no Unicode");
  return { text, signatures: parseSignatures(note.slice(end + 2)) };
}

/**
 * Takes signature lines apart.
 *
 * @throws LedgerError `bad-note` unless there is at least one line and each is one.
 */
export function parseSignatures(lines: string): NoteSignature[] {
  const rows = lines.split("\n");
  if (rows.pop() !== "" || rows.length === 0 || rows.length > SIGNATURES_MAXIMUM) {
    throw badNote(`expected 1 to ${SIGNATURES_MAXIMUM} signature lines, each with a line break`);
  }
  return rows.map(parseSignature);
}

function parseSignature(line: string): NoteSignature {
  const [, name = "", encoded = ""] = /^— (\S+) (\S+)$/u.exec(line) ?? [];
  const bytes = decodeBase64(encoded);
  if (!isKeyName(name) || bytes === null || bytes.length <= 4) throw badNote("a signature line is none");
  return { name, keyId: bytes.readUInt32BE(0), bytes: bytes.subarray(4) };
}

/** What an Ed25519 key is called in the notes that it signs under a name. */
export function noteKeyId(name: string, privateKey: KeyObject): number {
  return keyIdOf(name, SIGNATURE_TYPES.ed25519, rawPublicKey(privateKey));
}

/** Signs a text with an Ed25519 key under its name. @param signer.keyId - where it is known: see {@link noteKeyId}. */
export function signNote(text: string, signer: { name: string; privateKey: KeyObject; keyId?: number }): NoteSignature {
  const keyId = signer.keyId ?? noteKeyId(signer.name, signer.privateKey);
  return { name: signer.name, keyId, bytes: Buffer.from(sign(signer.privateKey, Buffer.from(text)), "base64") };
}

/**
 * What a note's signatures say of one key: `absent` no line names it, `wrong` a line does and does not fit (the note is
 * malformed then and must be rejected as a whole), `fits`. For keys of type 0x01.
 */
export function judgeSignature(note: SignedNote, key: VerifierKey): "absent" | "wrong" | "fits" {
  const lines = note.signatures.filter((line) => line.name === key.name && line.keyId === key.keyId);
  if (lines.length === 0) return "absent";
  const text = Buffer.from(note.text);
  return lines.every(({ bytes }) => verifySignature(key.key, text, bytes.toString("base64"))) ? "fits" : "wrong";
}

/** Whether a key may be called so: not empty, without Unicode blanks, "+" and control characters. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && name.isWellFormed() && !/[\s+]|\p{Cc}/u.test(name);
}

function isNoteText(text: string): boolean {
  return text.length > 1 && text.endsWith("\n") && text.isWellFormed() && !hasControls(text);
}

/** Characters below U+0020 other than the line break. */
function hasControls(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 && unit !== 0x0a) return true;
  }
  return false;
}

function isSignatureType(type: number | undefined): type is SignatureType {
  return Object.values<number | undefined>(SIGNATURE_TYPES).includes(type);
}

/** Null for what is not the one base64 of its bytes. */
function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function badNote(why: string): LedgerError {
  return new LedgerError("bad-note", `Reading a note failed: ${why}.`);
}
