import { createHash, timingSafeEqual } from "node:crypto";

const TOKEN_BYTES = 32;
const TOKEN = /^rs1_[A-Za-z0-9_-]{43}$/;
const SECRET = /^rm1_[A-Za-z0-9_-]{43}$/;

/** Letters that nobody mistakes for another when they are read off a screen (RFC 4648's base32 without look-alikes). */
const CODE_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz";
const CODE_LENGTH = 20;

/** SHA-256 in hexadecimal. Enough for what has 100 random bits or more; passwords need argon2. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Compares a secret with the hash of the right one, in constant time. */
export function fitsHash(secret: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(secret), "hex"), Buffer.from(hash, "hex"));
}

/** A session's token: 256 random bits behind a mark that no password carries by chance. */
export function newToken(random: (bytes: number) => Buffer): string {
  return `rs1_${random(TOKEN_BYTES).toString("base64url")}`;
}

/** Whether a password is in truth a session's token, valid or not. Such a one is never held against the password hash. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** A machine's secret: 256 random bits. */
export function newSecret(random: (bytes: number) => Buffer): string {
  return `rm1_${random(TOKEN_BYTES).toString("base64url")}`;
}

/** Whether somebody chose a password that would be taken for a token or secret. */
export function looksIssued(password: string): boolean {
  return TOKEN.test(password) || SECRET.test(password);
}

/** A one-time code of 99 bits in four groups: `k7mq2-…`. */
export function newCode(random: (bytes: number) => Buffer): string {
  let letters = "";
  while (letters.length < CODE_LENGTH) {
    // Bytes past the last whole multiple would make the first letters more likely than the others.
    const usable = [...random(CODE_LENGTH)].filter((byte) => byte < 256 - (256 % CODE_LETTERS.length));
    letters += usable.map((byte) => CODE_LETTERS[byte % CODE_LETTERS.length]).join("");
  }
  return (letters.slice(0, CODE_LENGTH).match(/.{5}/g) ?? []).join("-");
}

/** Takes out what a person adds when copying a code by hand. */
export function plainCode(code: string): string {
  return code.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}
