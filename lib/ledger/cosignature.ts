import type { KeyObject } from "node:crypto";
import { keyIdOf, type NoteSignature, SIGNATURE_TYPES, type SignedNote, type VerifierKey } from "./signed-note.ts";
import { rawPublicKey, sign, verifySignature } from "./signature.ts";

/*
 * Cosignatures of checkpoints with Ed25519 and a time (C2SP tlog-cosignature, type 0x04): a witness says that it has
 * seen no other history of this log up to then.
 */

const TIME_LENGTH = 8;
const LENGTH = TIME_LENGTH + 64;

/**
 * Signs the text of a checkpoint as a witness.
 *
 * @param o.time - whole seconds since 1970; not 0, which would say "no time".
 */
export function cosign(text: string, o: { name: string; privateKey: KeyObject; time: number }): NoteSignature {
  if (!Number.isSafeInteger(o.time) || o.time <= 0) {
    throw new RangeError(`Cosigning failed: the time is ${o.time}, expected whole seconds since 1970.`);
  }
  const bytes = Buffer.alloc(LENGTH);
  bytes.writeBigUInt64BE(BigInt(o.time));
  bytes.set(Buffer.from(sign(o.privateKey, messageOf(text, BigInt(o.time))), "base64"), TIME_LENGTH);
  const keyId = keyIdOf(o.name, SIGNATURE_TYPES.cosignature, rawPublicKey(o.privateKey));
  return { name: o.name, keyId, bytes };
}

/**
 * When a witness cosigned a note, in whole seconds since 1970; null when no line of it names the key. A line that names
 * it and does not fit counts as `wrong`: the note is malformed then.
 */
export function cosignedAt(note: SignedNote, witness: VerifierKey): number | "wrong" | null {
  const lines = note.signatures.filter((line) => line.name === witness.name && line.keyId === witness.keyId);
  const times = lines.map((line) => timeOf(note.text, line, witness));
  if (times.includes(null)) return "wrong";
  return times.reduce<number | null>((last, time) => Math.max(last ?? 0, time ?? 0), null);
}

function timeOf(text: string, { bytes }: NoteSignature, witness: VerifierKey): number | null {
  if (witness.type !== SIGNATURE_TYPES.cosignature || bytes.length !== LENGTH) return null;
  const time = bytes.readBigUInt64BE();
  if (time === 0n || time > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  const signature = bytes.subarray(TIME_LENGTH).toString("base64");
  return verifySignature(witness.key, messageOf(text, time), signature) ? Number(time) : null;
}

function messageOf(text: string, time: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}
