import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmod, readFile } from "node:fs/promises";
import { fingerprint, rawPublicKey } from "../ledger/signature.ts";
import { createOnce, replaceFile, unusable } from "./new-file.ts";

/** An Ed25519 key pair. `publicRaw` are the 32 bytes of RFC 8032; `fingerprint` the first 16 hex digits of their SHA-256. */
export type KeyPair = { privateKey: KeyObject; publicRaw: Buffer; fingerprint: string };

/**
 * Loads an Ed25519 private key (PKCS #8, PEM), or makes it at the first call. The file has mode 0600; two processes
 * that make it at once end up with the same key.
 *
 * @throws RastroError `store_unusable` when the file cannot be read or written, or holds another kind of key.
 */
export async function loadOrCreateKey(file: string): Promise<KeyPair> {
  const existing = await readIfThere(file);
  if (existing !== null) return openKey(file, existing);
  await createOnce(file, exportKey(createKey().privateKey));
  return openKey(file, (await readIfThere(file)) ?? "");
}

/** A key pair that is kept nowhere. */
export function createKey(): KeyPair {
  return describe(generateKeyPairSync("ed25519").privateKey);
}

/** Writes the 32 bytes of a public key as one line of base64. */
export async function writePublicKey(file: string, publicRaw: Uint8Array): Promise<void> {
  await replaceFile(file, `${Buffer.from(publicRaw).toString("base64")}\n`, 0o644);
}

/**
 * Reads what {@link writePublicKey} wrote.
 *
 * @throws RastroError `store_unusable` when it is missing or not 32 bytes.
 */
export async function readPublicKey(file: string): Promise<Buffer> {
  const text = await readIfThere(file);
  const raw = Buffer.from(text?.trim() ?? "", "base64");
  if (raw.length !== 32) throw unusable("Reading the public key", file, new Error("expected 32 bytes in base64"));
  return raw;
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unusable("Reading the key", file, error);
  }
}

async function openKey(file: string, pem: string): Promise<KeyPair> {
  try {
    const pair = importKey(pem);
    // A copy or a restore may have widened the mode; whoever else could read the key could speak in its name.
    await chmod(file, 0o600);
    return pair;
  } catch (error) {
    throw unusable("Reading the key", file, error);
  }
}

/** A private key as PEM (PKCS #8). */
export function exportKey(privateKey: KeyObject): string {
  return privateKey.export({ format: "pem", type: "pkcs8" }) as string;
}

/**
 * Reads what {@link exportKey} wrote.
 *
 * @throws Error when it is no Ed25519 private key.
 */
export function importKey(pem: string): KeyPair {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`expected an Ed25519 key, found ${key.asymmetricKeyType}`);
  return describe(key);
}

function describe(privateKey: KeyObject): KeyPair {
  const publicRaw = rawPublicKey(createPublicKey(privateKey));
  return { privateKey, publicRaw, fingerprint: fingerprint(publicRaw) };
}
