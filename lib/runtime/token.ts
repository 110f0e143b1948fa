import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { RastroError } from "../contracts/errors.ts";
import { sign, verifySignature } from "../ledger/signature.ts";

const MINUTE = 60_000;

/** A token is a password; whatever is longer than this is none. */
const MAXIMUM_LENGTH = 1024;

/** A sender that dates its tokens further ahead than this would outlive a lost key. */
const MAXIMUM_LIFETIME = 24 * 60 * MINUTE;

/** Keeps a token's signature from ever being taken for one over an event, which begins with "{". */
const DOMAIN = "rastro-token-v1.";

/** What a token says. `iat` and `exp` are ms since 1970 by the hub's clock as its maker knows it. */
export const TokenClaims = z.strictObject({
  v: z.literal(1),
  sub: z.string(),
  aud: z.string(),
  iat: z.int(),
  exp: z.int(),
  nonce: z.string().min(1).max(64),
});
export type TokenClaims = z.infer<typeof TokenClaims>;

/**
 * Makes the MQTT password of a machine or service: `base64url(JSON) "." base64url(Ed25519 signature)`.
 *
 * @param o.aud - the plant's id: a token is of no use at another plant.
 * @param o.now - ms since 1970; an agent passes the hub's time, since its own clock may be off.
 * @param o.lifetimeMs - 10 minutes when left out.
 */
export function signToken(o: {
  sub: string;
  aud: string;
  privateKey: KeyObject;
  now: () => number;
  nonce: string;
  lifetimeMs?: number;
}): string {
  const iat = Math.trunc(o.now());
  const claims: TokenClaims = {
    v: 1,
    sub: o.sub,
    aud: o.aud,
    iat,
    exp: iat + (o.lifetimeMs ?? 10 * MINUTE),
    nonce: o.nonce,
  };
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  const signature = Buffer.from(sign(o.privateKey, signedBytes(payload)), "base64").toString("base64url");
  return `${payload}.${signature}`;
}

/** Makes a new token at each call, for whoever signs in with a key by its own clock: services on the hub's machine. */
export function createTokens(o: {
  name: string;
  /** The plant's id. */
  plant: string;
  privateKey: KeyObject;
  now: () => number;
  random: (bytes: number) => Buffer;
}): () => string {
  const { name, plant, privateKey, now, random } = o;
  return () => signToken({ sub: name, aud: plant, privateKey, now, nonce: random(8).toString("hex") });
}

/**
 * Checks a token: signature first, then who, where and when. A clock may be off by `skewMs` (10 minutes when left out).
 *
 * @param o.publicKey - raw 32 bytes of the key that is registered for `sub`.
 * @throws RastroError `bad_credentials`, and nothing else whatever the text is.
 */
export function checkToken(o: {
  token: string;
  sub: string;
  aud: string;
  publicKey: Uint8Array;
  now: () => number;
  skewMs?: number;
}): TokenClaims {
  const payload = signedPayload(o.token, o.publicKey);
  const claims = readClaims(payload);
  const skew = o.skewMs ?? 10 * MINUTE;
  const now = o.now();
  if (claims.sub !== o.sub) throw refused("it was made for another name");
  if (claims.aud !== o.aud) throw refused("it was made for another plant");
  if (claims.exp - claims.iat > MAXIMUM_LIFETIME || claims.exp < claims.iat)
    throw refused("its lifetime is out of range");
  if (claims.exp < now - skew) throw refused("it has expired; compare the sender's clock with the hub's");
  if (claims.iat > now + skew) throw refused("it lies in the future; compare the sender's clock with the hub's");
  return claims;
}

function signedPayload(token: string, publicKey: Uint8Array): string {
  if (token.length > MAXIMUM_LENGTH) throw refused("it is too long");
  const [payload, signature, ...rest] = token.split(".");
  if (!payload || !signature || rest.length > 0) throw refused("it is not of the form payload.signature");
  if (!isBase64Url(payload) || !isBase64Url(signature)) throw refused("it is not base64url");
  if (!isSigned(payload, signature, publicKey)) throw refused("its signature does not fit the registered key");
  return payload;
}

function isSigned(payload: string, signature: string, publicKey: Uint8Array): boolean {
  try {
    return verifySignature(publicKey, signedBytes(payload), Buffer.from(signature, "base64url").toString("base64"));
  } catch {
    return false;
  }
}

function readClaims(payload: string): TokenClaims {
  try {
    return TokenClaims.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
  } catch {
    throw refused("its content is not that of a token");
  }
}

/** One text, one token: encodings that decode to the same bytes by dropping characters or bits are refused. */
function isBase64Url(text: string): boolean {
  return Buffer.from(text, "base64url").toString("base64url") === text;
}

function signedBytes(payload: string): Buffer {
  return Buffer.from(DOMAIN + payload);
}

function refused(why: string): RastroError {
  return new RastroError({
    code: "bad_credentials",
    message: `Checking the token failed: ${why}.`,
    expected: "a valid token",
  });
}
