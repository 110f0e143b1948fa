import { createHash, createPrivateKey } from "node:crypto";
import { logKey } from "../../lib/ledger/key-rotation.ts";
import { rawPublicKey } from "../../lib/ledger/signature.ts";
import type { LogKeys } from "../../lib/runtime/log-keys.ts";

/** Everything before the seed in the DER of an Ed25519 private key (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** The keys of a log that lie nowhere, cannot be changed, and are the same each time for the same log. */
export function logKeysOf(origin: string): LogKeys {
  const seed = createHash("sha256").update(origin).digest();
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
  const none = () => Promise.reject(new Error("these keys of a test are not changed"));
  return {
    origin,
    privateKeys: () => [privateKey],
    known: () => [logKey(origin, rawPublicKey(privateKey))],
    rotations: () => [],
    rotate: none,
    retire: none,
  };
}
