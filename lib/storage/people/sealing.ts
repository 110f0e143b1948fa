import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Sealed } from "../../contracts/events.ts";

/*
 * What a person said or is called, encrypted under that person's key (AES-256-GCM, NIST SP 800-38D). The key lies in
 * the directory's store: destroying it erases the text here and leaves every hash as it is.
 */

const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;

/**
 * @param personKey - 32 bytes.
 * @param sub - the person's id, by which the key is found again.
 * @param place - `<event id>/<field>`: the ciphertext opens nowhere else.
 */
export function seal(
  personKey: Uint8Array,
  sub: string,
  text: string,
  place: string,
  random: (length: number) => Buffer = randomBytes,
): Sealed {
  const nonce = random(NONCE_LENGTH);
  const cipher = createCipheriv("aes-256-gcm", personKey, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(Buffer.from(place));
  const ciphertext = Buffer.concat([cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return { key: sub, nonce: nonce.toString("base64"), ct: ciphertext.toString("base64") };
}

/** @returns the text, or null when key, place and bytes do not belong together; never throws. */
export function unseal(personKey: Uint8Array, sealed: Sealed, place: string): string | null {
  const nonce = Buffer.from(sealed.nonce, "base64");
  const ciphertext = Buffer.from(sealed.ct, "base64");
  if (personKey.length !== 32 || nonce.length !== NONCE_LENGTH || ciphertext.length < TAG_LENGTH) return null;
  const decipher = createDecipheriv("aes-256-gcm", personKey, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(ciphertext.subarray(-TAG_LENGTH));
  try {
    return Buffer.concat([decipher.update(ciphertext.subarray(0, -TAG_LENGTH)), decipher.final()]).toString("utf8");
  } catch {
    return null;
  }
}
