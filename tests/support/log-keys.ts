import { createHash } from "node:crypto";
import { logKey } from "../../lib/ledger/key-rotation.ts";
import { rawPublicKey } from "../../lib/ledger/signature.ts";
import type { LogKeys } from "../../lib/runtime/log-keys.ts";
import { keyOfSeed } from "../lib/ledger/keys.ts";

/** The keys of a log that lie nowhere, cannot be changed, and are the same each time for the same log. */
export function logKeysOf(origin: string): LogKeys {
  const privateKey = keyOfSeed(createHash("sha256").update(origin).digest());
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
