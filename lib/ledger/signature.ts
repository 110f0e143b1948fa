import { createPublicKey, type KeyObject, sign as signBytes, verify as verifyBytes } from "node:crypto";
import { sha256 } from "./hash.ts";

/*
 * Ed25519 (RFC 8032, pure). Public keys travel as their 32 raw bytes, signatures as base64 of 64 bytes.
 */

const PUBLIC_KEY_LENGTH = 32;
const SIGNATURE_LENGTH = 64;

/** Everything before the raw key in the DER of an Ed25519 SubjectPublicKeyInfo (RFC 8410 §4). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** @returns the signature in base64. */
export function sign(privateKey: KeyObject, bytes: Uint8Array): string {
  return signBytes(null, bytes, privateKey).toString("base64");
}

/** As {@link sign}, on another thread; for whoever signs thousands a second. */
export function signAside(privateKey: KeyObject, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    signBytes(null, bytes, privateKey, (error, signature) =>
      error === null ? resolve(signature.toString("base64")) : reject(error),
    );
  });
}

/**
 * Whether the signature fits. False for a key or signature of a wrong length or form; never throws.
 *
 * @param publicKey - 32 raw bytes, or the key from {@link importPublicKey}, which saves the import each time.
 */
export function verifySignature(publicKey: Uint8Array | KeyObject, bytes: Uint8Array, signature: string): boolean {
  const value = Buffer.from(signature, "base64");
  if (value.length !== SIGNATURE_LENGTH) return false;
  const key = publicKey instanceof Uint8Array ? importPublicKey(publicKey) : publicKey;
  return key !== null && verifyBytes(null, bytes, key, value);
}

/** As {@link verifySignature}, on another thread: a verification takes as long as everything else that is done for an event. */
export function verifySignatureAside(key: KeyObject, bytes: Uint8Array, signature: string): Promise<boolean> {
  const value = Buffer.from(signature, "base64");
  if (value.length !== SIGNATURE_LENGTH) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    verifyBytes(null, bytes, key, value, (error, fits) => (error === null ? resolve(fits) : reject(error)));
  });
}

/** A key that node:crypto takes, from its 32 raw bytes; null when they are no Ed25519 key. */
export function importPublicKey(raw: Uint8Array): KeyObject | null {
  if (raw.length !== PUBLIC_KEY_LENGTH) return null;
  try {
    return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" });
  } catch {
    return null;
  }
}

/** The 32 raw bytes of the public half of an Ed25519 key. */
export function rawPublicKey(key: KeyObject): Buffer {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ format: "der", type: "spki" }).subarray(SPKI_PREFIX.length);
}

/** What a record calls a key by: the first 16 hexadecimal digits of SHA-256 over its raw bytes. */
export function fingerprint(raw: Uint8Array): string {
  return sha256(raw).toString("hex", 0, 8);
}
