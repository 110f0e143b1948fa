import { describe, expect, it } from "vitest";
import { formatTreeHead, parseCheckpoint, signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { cosign } from "../../../lib/ledger/cosignature.ts";
import { formatPolicy, isQuorum, judgeCheckpoint, parsePolicy } from "../../../lib/ledger/policy.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import {
  formatSignature,
  formatVerifierKey,
  SIGNATURE_TYPES,
  type SignatureType,
  verifierKey,
} from "../../../lib/ledger/signed-note.ts";
import { keyOfSeed } from "./keys.ts";

const vkey = (name: string, seed: number, type: SignatureType) =>
  formatVerifierKey(verifierKey(name, type, rawPublicKey(keyOfSeed(seed))));
const log = vkey("plant-1/audit", 1, SIGNATURE_TYPES.ed25519);
const witness = (seed: number) => vkey(`w${seed}`, seed, SIGNATURE_TYPES.cosignature);

/** The two levels of the specification's own example. */
const TWO_LEVELS = [
  `log ${log}`,
  "",
  ...[11, 12, 13].map((seed) => `witness X${seed} ${witness(seed)}`),
  "group X-witnesses 2 X11 X12 X13",
  "  # a comment",
  ...[21, 22].map((seed) => `witness\tY${seed} ${witness(seed)} https://witness.example/${seed}`),
  "group Y-witnesses any Y21 Y22",
  "group X-and-Y all X-witnesses Y-witnesses",
  "quorum X-and-Y",
  "",
].join("\n");

describe("a policy", () => {
  it("reads as it was written", () => {
    const policy = parsePolicy(TWO_LEVELS);
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
      ["X11", null],
      ["X12", null],
      ["X13", null],
      ["Y21", "https://witness.example/21"],
      ["Y22", "https://witness.example/22"],
    ]);
    expect(parsePolicy(formatPolicy(policy))).toEqual(policy);
  });

  it.each([
    [["X11", "X12", "Y21"], true],
    [["X11", "X12", "X13", "Y21", "Y22"], true],
    [["X11", "X12", "X13"], false],
    [["X11", "Y21", "Y22"], false],
    [[], false],
  ])("is met by %j: %s", (names, met) => {
    expect(isQuorum(parsePolicy(TWO_LEVELS), new Set(names))).toBe(met);
  });

  it("without a quorum asks for none", () => {
    expect(isQuorum(parsePolicy("quorum none\n"), new Set())).toBe(true);
  });

  it.each([
    ["nothing", "", "no quorum line"],
    ["two quorums", "quorum none\nquorum none\n", "line 2"],
    ["an unknown word", "logs x\nquorum none\n", "line 1"],
    ["a quorum of nobody", "quorum X\n", "not defined"],
    ["a group of somebody later", `group G any W\nwitness W ${witness(11)}\nquorum G\n`, "line 1"],
    ["a threshold beyond its members", `witness W ${witness(11)}\ngroup G 2 W\nquorum G\n`, "line 2"],
    ["a threshold of none", `witness W ${witness(11)}\ngroup G 0 W\nquorum G\n`, "line 2"],
    ["a member of two groups", `witness W ${witness(11)}\ngroup G any W\ngroup H any W\nquorum G\n`, "line 3"],
    ["one name twice", `witness W ${witness(11)}\nwitness W ${witness(12)}\nquorum W\n`, "line 2"],
    ["one key twice", `witness W ${witness(11)}\nwitness V ${witness(11)}\nquorum W\n`, "line 2"],
    ["a witness called none", `witness none ${witness(11)}\nquorum none\n`, "line 1"],
    ["a log's key as a witness", `witness W ${log}\nquorum W\n`, "signature type"],
    ["a key that is none", "log abc\nquorum none\n", "line 1"],
  ])("is refused with the line: %s", (_name, text, why) => {
    expect(() => parsePolicy(text)).toThrow(
      expect.objectContaining({ code: "bad-policy", message: expect.stringContaining(why) as string }),
    );
  });

  it("judges a checkpoint by its log and its witnesses", () => {
    const head = { origin: "plant-1/audit", size: 4, root: Buffer.alloc(32, 3) };
    const by = (...seeds: number[]) =>
      signCheckpoint(head, [keyOfSeed(1)]) +
      seeds
        .map((seed) =>
          cosign(formatTreeHead(head), { name: `w${seed}`, privateKey: keyOfSeed(seed), time: 1000 + seed }),
        )
        .map(formatSignature)
        .join("");
    const policy = parsePolicy(TWO_LEVELS);
    const met = judgeCheckpoint(policy, parseCheckpoint(by(11, 13, 22)));
    expect(met.refusal).toBeNull();
    expect(met.cosigners.map(({ name, time }) => [name, time])).toEqual([
      ["X11", 1011],
      ["X13", 1013],
      ["Y22", 1022],
    ]);
    expect(judgeCheckpoint(policy, parseCheckpoint(by(11, 13))).refusal).toContain("X-and-Y");
    const ofAnother = parseCheckpoint(signCheckpoint(head, [keyOfSeed(2)]));
    expect(judgeCheckpoint(policy, ofAnother).refusal).toContain("not signed by a log");
  });
});
