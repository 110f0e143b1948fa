import { describe, expect, it } from "vitest";
import { Sealed } from "../../../../lib/contracts/events.ts";
import { seal, unseal } from "../../../../lib/storage/people/sealing.ts";

const key = Buffer.alloc(32, 7);
const sub = `p-${"ab".repeat(16)}`;
const place = "0193f3a0-0000-7000-8000-000000000001/reason.text";
const random = (length: number) => Buffer.alloc(length, 9);

describe("sealed text", () => {
  it("opens with its key at its place", () => {
    for (const text of ["", "contagem errada: 3 peças a mais", "x".repeat(5000)]) {
      const sealed = seal(key, sub, text, place);
      expect(Sealed.safeParse(sealed).success).toBe(true);
      expect(sealed.key).toBe(sub);
      expect(unseal(key, sealed, place)).toBe(text);
    }
  });

  it("is ciphertext followed by a tag of 16 bytes", () => {
    const sealed = seal(key, sub, "ok", place, random);
    expect(sealed).toMatchObject({ key: sub, nonce: "CQkJCQkJCQkJCQkJ" });
    expect(Buffer.from(sealed.ct, "base64")).toHaveLength(2 + 16);
  });

  it("has another nonce each time", () => {
    expect(seal(key, sub, "same", place).nonce).not.toBe(seal(key, sub, "same", place).nonce);
  });

  it("does not open with another key, at another place, or changed", () => {
    const sealed = seal(key, sub, "secret", place);
    const ct = Buffer.from(sealed.ct, "base64");
    ct.writeUInt8(ct.readUInt8(0) ^ 1, 0);
    expect(unseal(Buffer.alloc(32, 8), sealed, place)).toBeNull();
    expect(unseal(Buffer.alloc(16), sealed, place)).toBeNull();
    expect(unseal(key, sealed, place.replace("1/", "2/"))).toBeNull();
    expect(unseal(key, { ...sealed, ct: ct.toString("base64") }, place)).toBeNull();
    expect(unseal(key, { ...sealed, ct: "AAAA" }, place)).toBeNull();
    expect(unseal(key, { ...sealed, nonce: "AAAA" }, place)).toBeNull();
  });
});
