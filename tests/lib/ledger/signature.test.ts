import { createHash, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fingerprint, importPublicKey, rawPublicKey, sign, verifySignature } from "../../../lib/ledger/signature.ts";

/** RFC 8032 §7.1, test 2. */
const SECRET = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SIGNATURE =
  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
const message = Buffer.from("72", "hex");
const privateKey = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${SECRET}`, "hex"),
  format: "der",
  type: "pkcs8",
});

describe("Ed25519", () => {
  it("gives the known answer of RFC 8032", () => {
    expect(rawPublicKey(privateKey).toString("hex")).toBe(PUBLIC);
    expect(Buffer.from(sign(privateKey, message), "base64").toString("hex")).toBe(SIGNATURE);
    expect(verifySignature(Buffer.from(PUBLIC, "hex"), message, sign(privateKey, message))).toBe(true);
  });

  it("verifies with an imported key as with its bytes", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const raw = rawPublicKey(publicKey);
    const imported = importPublicKey(raw);
    expect(raw).toEqual(rawPublicKey(privateKey));
    expect(imported !== null && verifySignature(imported, message, sign(privateKey, message))).toBe(true);
  });

  it("refuses other bytes, other keys and what is no signature or key", () => {
    const raw = Buffer.from(PUBLIC, "hex");
    const signature = sign(privateKey, message);
    const other = rawPublicKey(generateKeyPairSync("ed25519").publicKey);
    expect(verifySignature(raw, Buffer.from("73", "hex"), signature)).toBe(false);
    expect(verifySignature(other, message, signature)).toBe(false);
    expect(verifySignature(raw, message, "")).toBe(false);
    expect(verifySignature(raw, message, signature.slice(0, 80))).toBe(false);
    expect(verifySignature(raw.subarray(1), message, signature)).toBe(false);
    expect(importPublicKey(Buffer.alloc(33))).toBeNull();
  });

  it("names a key by the first 16 digits of its hash", () => {
    const raw = Buffer.from(PUBLIC, "hex");
    expect(fingerprint(raw)).toBe(createHash("sha256").update(raw).digest("hex").slice(0, 16));
  });
});
