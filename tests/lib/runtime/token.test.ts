import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { sign } from "../../../lib/ledger/signature.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { checkToken, signToken } from "../../../lib/runtime/token.ts";

const MINUTE = 60_000;
const NOW = Date.parse("2026-11-24T12:00:00.000Z");
const key = createKey();

const made = (change: Partial<Parameters<typeof signToken>[0]> = {}) =>
  signToken({ sub: "ipc-07", aud: "plant-1", privateKey: key.privateKey, now: () => NOW, nonce: "n1", ...change });

const checked = (token: string, change: Partial<Parameters<typeof checkToken>[0]> = {}) =>
  checkToken({ token, sub: "ipc-07", aud: "plant-1", publicKey: key.publicRaw, now: () => NOW, ...change });

function why(token: string, change: Partial<Parameters<typeof checkToken>[0]> = {}): string {
  try {
    checked(token, change);
  } catch (error) {
    if (error instanceof RastroError && error.code === "bad_credentials") return error.message;
    throw error;
  }
  throw new Error("the token was taken");
}

describe("a token", () => {
  it("is taken with what it says", () => {
    expect(checked(made())).toEqual({
      v: 1,
      sub: "ipc-07",
      aud: "plant-1",
      iat: NOW,
      exp: NOW + 10 * MINUTE,
      nonce: "n1",
    });
  });

  it("is taken within ten minutes of skew on either side, and not a millisecond beyond", () => {
    const token = made();
    expect(checked(token, { now: () => NOW + 20 * MINUTE }).nonce).toBe("n1");
    expect(checked(token, { now: () => NOW - 10 * MINUTE }).nonce).toBe("n1");
    expect(why(token, { now: () => NOW + 20 * MINUTE + 1 })).toContain("has expired");
    expect(why(token, { now: () => NOW - 10 * MINUTE - 1 })).toContain("in the future");
    expect(why(token, { skewMs: 0, now: () => NOW + 10 * MINUTE + 1 })).toContain("has expired");
  });

  it("is refused for another name, plant or key", () => {
    expect(why(made({ sub: "ipc-08" }))).toContain("another name");
    expect(why(made({ aud: "plant-2" }))).toContain("another plant");
    expect(why(made(), { publicKey: createKey().publicRaw })).toContain("signature");
    expect(why(made(), { publicKey: Buffer.alloc(5) })).toContain("signature");
  });

  it("is refused with a lifetime out of range", () => {
    expect(why(made({ lifetimeMs: 24 * 60 * MINUTE + 1 }))).toContain("lifetime");
    expect(why(made({ lifetimeMs: -1 }))).toContain("lifetime");
  });

  it("is refused when its content is no token's, however well it is signed", () => {
    for (const content of ["null", "{}", "[1]", "{not json", '{"v":2}']) {
      const payload = Buffer.from(content).toString("base64url");
      const value = Buffer.from(sign(key.privateKey, Buffer.from(`rastro-token-v1.${payload}`)), "base64");
      expect(why(`${payload}.${value.toString("base64url")}`)).toContain("content");
    }
  });

  it("is refused when it is signed as an event is, without the prefix of tokens", () => {
    const [payload = ""] = made().split(".");
    const value = Buffer.from(sign(key.privateKey, Buffer.from(payload)), "base64").toString("base64url");
    expect(why(`${payload}.${value}`)).toContain("signature");
  });

  it("is refused when huge", () => {
    expect(why("a".repeat(5_000_000))).toContain("too long");
  });

  it("is refused with any one character changed, cut or added", () => {
    const token = made();
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.string({ minLength: 0, maxLength: 2 }), (at, other) => {
        const altered = token.slice(0, at) + other + token.slice(at + 1);
        fc.pre(altered !== token);
        expect(why(altered)).toContain("Checking the token failed");
      }),
    );
    expect(checked(token).nonce).toBe("n1");
  });

  it("is refused whatever the text is, with no other error", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => why(text).startsWith("Checking the token failed")));
    expect(why("")).toContain("payload.signature");
  });
});
