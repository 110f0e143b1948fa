import type { KeyObject } from "node:crypto";
import { canonicalBytes } from "./canonical.ts";
import { LedgerError } from "./error.ts";
import type { LedgerRecord } from "./record.ts";
import { fingerprint, importPublicKey, verifySignature } from "./signature.ts";

/** How many events were signed by keys that are known, by name; and how many could not be checked. */
export type SignatureCounts = { checked: Record<string, number>; unsigned: number; unknownKey: number };

/** A public key and the name whose events it signs. A name may have several: keys are exchanged over the years. */
export type OriginKey = { name: string; publicKey: Uint8Array };

/** Checks the signatures that the origins of events gave, with the keys at hand, and counts them. */
export class OriginSignatures {
  readonly counts: SignatureCounts = { checked: {}, unsigned: 0, unknownKey: 0 };
  readonly #keys = new Map<string, KeyObject>();

  constructor(keys: readonly OriginKey[]) {
    for (const { name, publicKey } of keys) {
      const key = importPublicKey(publicKey);
      if (key !== null) this.#keys.set(placeOf(name, fingerprint(publicKey)), key);
    }
  }

  /** @throws LedgerError `bad-signature` when the signature is by a known key and does not fit the event. */
  check({ seq, sig, event }: LedgerRecord): void {
    if (sig === null) {
      this.counts.unsigned += 1;
      return;
    }
    const key = this.#keys.get(placeOf(sig.by, sig.key));
    if (key === undefined) {
      this.counts.unknownKey += 1;
      return;
    }
    if (!verifySignature(key, canonicalBytes(event), sig.value)) {
      throw new LedgerError(
        "bad-signature",
        `Checking record ${seq} failed: its event is not signed by the key ${sig.key} of ${sig.by}.`,
      );
    }
    this.counts.checked[sig.by] = (this.counts.checked[sig.by] ?? 0) + 1;
  }
}

function placeOf(name: string, fingerprint: string): string {
  return `${name} ${fingerprint}`;
}
