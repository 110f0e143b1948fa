import { expect, it } from "vitest";
import { sign } from "../../../lib/ledger/signature.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { createSigner } from "../../../services/production/signer.ts";

it("makes the same signature here and on another thread, and few of a turn here", async () => {
  const { privateKey } = createKey();
  const signer = createSigner(privateKey);
  const texts = Array.from({ length: 20 }, (_, index) => Buffer.from(`event ${index}`));
  const begun = texts.map((text) => signer(text));
  expect(begun.filter((one) => typeof one === "string")).toHaveLength(2);
  expect(await Promise.all(begun.map((one) => Promise.resolve(one)))).toEqual(
    texts.map((text) => sign(privateKey, text)),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(signer(Buffer.from("next turn"))).toBe(sign(privateKey, Buffer.from("next turn")));
});
