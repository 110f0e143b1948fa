import { describe, expect, it } from "vitest";
import {
  cosignersOf,
  formatTreeHead,
  parseCheckpoint,
  parseTreeHead,
  signCheckpoint,
  signedBy,
} from "../../../lib/ledger/checkpoint.ts";
import { cosign } from "../../../lib/ledger/cosignature.ts";
import { EMPTY_ROOT } from "../../../lib/ledger/hash.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { formatSignature, SIGNATURE_TYPES, verifierKey } from "../../../lib/ledger/signed-note.ts";
import { keyOfSeed } from "./keys.ts";

const head = { origin: "plant-1/audit", size: 22_780, root: Buffer.alloc(32, 9) };
const logKey = (seed: number, name = head.origin) =>
  verifierKey(name, SIGNATURE_TYPES.ed25519, rawPublicKey(keyOfSeed(seed)));
const witness = (seed: number) =>
  verifierKey(`ipc-${seed}/witness`, SIGNATURE_TYPES.cosignature, rawPublicKey(keyOfSeed(seed)));
const cosignature = (text: string, seed: number, time: number) =>
  formatSignature(cosign(text, { name: `ipc-${seed}/witness`, privateKey: keyOfSeed(seed), time }));

describe("the text of a checkpoint", () => {
  it("is origin, size and root, a line each", () => {
    const text = formatTreeHead({ ...head, root: EMPTY_ROOT });
    expect(text).toBe("plant-1/audit\n22780\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    expect(parseTreeHead(text)).toEqual({ ...head, root: EMPTY_ROOT, extensions: [] });
  });

  it("keeps the extension lines of others", () => {
    const text = `${formatTreeHead(head)}more\nand more\n`;
    expect(parseTreeHead(text).extensions).toEqual(["more", "and more"]);
  });

  it.each([
    ["a size with a zero before it", formatTreeHead(head).replace("22780", "022780")],
    ["a size beyond 2^53", formatTreeHead(head).replace("22780", "9007199254740993")],
    ["a root that is too short", "plant-1/audit\n22780\nAAAA\n"],
    ["an empty extension line", `${formatTreeHead(head)}\n`],
    ["no last line break", formatTreeHead(head).trimEnd()],
    ["a blank in the origin", formatTreeHead(head).replace("plant-1", "plant 1")],
  ])("does not read: %s", (_name, text) => {
    expect(() => parseTreeHead(text)).toThrow(expect.objectContaining({ code: "bad-note" }));
  });
});

describe("a checkpoint", () => {
  it("tells which of the log's keys signed it", () => {
    const signed = parseCheckpoint(signCheckpoint(head, [keyOfSeed(1), keyOfSeed(2)]));
    expect(signed.head).toMatchObject(head);
    expect(signedBy(signed, [logKey(1), logKey(2), logKey(3)])).toEqual([logKey(1), logKey(2)]);
    expect(signedBy(signed, [logKey(3)])).toEqual([]);
    expect(signedBy(signed, [logKey(1, "plant-2/audit")])).toEqual([]);
  });

  it("counts for nothing once a line of a known key is wrong", () => {
    const text = signCheckpoint(head, [keyOfSeed(1)]);
    const other = signCheckpoint({ ...head, size: 1 }, [keyOfSeed(2)]).split("\n\n")[1] ?? "";
    expect(signedBy(parseCheckpoint(text + other), [logKey(1)])).toHaveLength(1);
    expect(signedBy(parseCheckpoint(text + other), [logKey(1), logKey(2)])).toEqual([]);
  });

  it("tells who cosigned it and when, whatever else stands there", () => {
    const text = signCheckpoint(head, [keyOfSeed(1)]);
    const body = formatTreeHead(head);
    const cosigned = parseCheckpoint(text + cosignature(body, 5, 1_700_000_000) + cosignature(body, 6, 1_700_000_060));
    expect(cosignersOf(cosigned, [witness(5), witness(6), witness(7)])).toEqual([
      { witness: witness(5), time: 1_700_000_000 },
      { witness: witness(6), time: 1_700_000_060 },
    ]);
    expect(signedBy(cosigned, [logKey(1)])).toHaveLength(1);
  });

  it("takes no cosignature of another text, and none without a time", () => {
    const text = signCheckpoint(head, [keyOfSeed(1)]);
    const ofOther = cosignature(formatTreeHead({ ...head, size: 22_781 }), 5, 1_700_000_000);
    expect(cosignersOf(parseCheckpoint(text + ofOther), [witness(5)])).toEqual([]);
    expect(() => cosign("x\n", { name: "w", privateKey: keyOfSeed(5), time: 0 })).toThrow(RangeError);
  });
});
