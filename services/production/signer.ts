import type { KeyObject } from "node:crypto";
import { sign, signAside } from "../../lib/ledger/signature.ts";

/** Signatures of one turn of the event loop that are made where they are asked for. */
const MADE_HERE = 2;

/**
 * Signs with one key: the first of a turn at once, since waking another thread takes longer than a signature, and
 * those behind it on other threads, since a thousand would keep everything else waiting.
 */
export function createSigner(privateKey: KeyObject): (bytes: Uint8Array) => string | Promise<string> {
  let made = 0;
  return (bytes) => {
    if (made === MADE_HERE) return signAside(privateKey, bytes);
    if (made === 0) setImmediate(() => (made = 0));
    made += 1;
    return sign(privateKey, bytes);
  };
}
