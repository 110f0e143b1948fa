import { createPrivateKey, type KeyObject } from "node:crypto";

/** Everything before the seed in the DER of an Ed25519 private key (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** The same Ed25519 key at each run. @param seed - 32 bytes, or the one that is repeated. */
export function keyOfSeed(seed: number | Buffer): KeyObject {
  const bytes = typeof seed === "number" ? Buffer.alloc(32, seed) : seed;
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, bytes]), format: "der", type: "pkcs8" });
}
