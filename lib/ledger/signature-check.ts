import type { KeyObject } from "node:crypto";
import { fingerprint, importPublicKey, verifySignature } from "./signature.ts";

/** What came of the signatures of records. `unsigned`: of a device that cannot sign, or whose signature is gone. */
export type CheckedSignatures = { checked: number; unsigned: number; unknownKey: number };

/** As much of a record as its signature is about. `text` is the canonical form of the event. */
export type SignedPart = {
  text: string;
  sig: { by: string; key: string; value: string } | null;
  /** `src.name` of the event, where it has one. */
  source: string | null;
  /** Whether the service noted that the sender has no key. */
  markedUnsigned: boolean;
};

export type SignatureFault = { kind: "unsigned" | "bad-signature"; expected: string; found: string };

type SignerKey = { key: KeyObject; fingerprint: string };

/** The keys of those who sign, made ready for use once for each name. */
export class SignerKeys {
  readonly #rawKeyOf: (name: string) => Uint8Array | null;
  readonly #keys = new Map<string, SignerKey | null>();

  /** @param rawKeyOf - the raw public key of a name; null when it is not known. */
  constructor(rawKeyOf: (name: string) => Uint8Array | null) {
    this.#rawKeyOf = rawKeyOf;
  }

  of(name: string): SignerKey | null {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const raw = this.#rawKeyOf(name);
    const key = raw === null ? null : importPublicKey(raw);
    const entry = raw === null || key === null ? null : { key, fingerprint: fingerprint(raw) };
    this.#keys.set(name, entry);
    return entry;
  }
}

/** Checks the signatures of records against the keys of names, and counts what it could and could not check. */
export class SignatureCheck {
  readonly counts: CheckedSignatures = { checked: 0, unsigned: 0, unknownKey: 0 };
  readonly #keys: SignerKeys;

  constructor(keys: SignerKeys) {
    this.#keys = keys;
  }

  /** Null when nothing is wrong, or nothing can be said for want of the key. */
  faultOf(signed: SignedPart): SignatureFault | null {
    const { sig } = signed;
    if (sig === null) {
      this.counts.unsigned += 1;
      return this.#mustBeSigned(signed)
        ? { kind: "unsigned", expected: `a signature of ${signed.source}`, found: "nothing" }
        : null;
    }
    const known = this.#keys.of(sig.by);
    if (known === null || known.fingerprint !== sig.key) {
      this.counts.unknownKey += 1;
      return null;
    }
    this.counts.checked += 1;
    if (verifySignature(known.key, Buffer.from(signed.text, "utf8"), sig.value)) return null;
    return { kind: "bad-signature", expected: `a signature by key ${sig.key} of ${sig.by}`, found: sig.value };
  }

  /** What a device could not sign when it was taken in stays as it is, whatever key the device has got since. */
  #mustBeSigned({ source, markedUnsigned }: SignedPart): boolean {
    return !markedUnsigned && source !== null && this.#keys.of(source) !== null;
  }
}

/** Adds what another check has counted. */
export function addSignatures(to: CheckedSignatures, more: CheckedSignatures): void {
  to.checked += more.checked;
  to.unsigned += more.unsigned;
  to.unknownKey += more.unknownKey;
}
