import { describe, expect, it } from "vitest";
import { parsePolicy } from "../../../../lib/ledger/policy.ts";
import { formatVerifierKey, SIGNATURE_TYPES, verifierKey } from "../../../../lib/ledger/signed-note.ts";
import { createKey } from "../../../../lib/runtime/keys.ts";
import type { WitnessRow } from "../../../../services/audit/witnesses/membership.ts";
import { quorumOf, witnessKey } from "../../../../services/audit/witnesses/standing.ts";
import { trustPolicyOf } from "../../../../services/audit/witnesses/trust-policy.ts";
import { logKeysOf } from "../../../support/log-keys.ts";

const HUB = "0".repeat(64);
const host = (digit: number) => String(digit).repeat(64);
const majority = { kind: "majority" } as const;
const logs = logKeysOf("plant-test/audit").known();

function keyOf(name: string, type: 1 | 4 = SIGNATURE_TYPES.cosignature): string {
  return formatVerifierKey(verifierKey(name, type, createKey().publicRaw));
}

let seq = 0;
function member(name: string, on: string | null, o: { byHand?: boolean; url?: string } = {}): WitnessRow {
  seq += 1;
  const admitted = { vkey: keyOf(name), url: o.url ?? null, host: on, byHand: o.byHand ?? false, seq };
  return { name, offered: null, barred: false, admitted, revoked: null };
}

const standings = (rows: WitnessRow[], hubHost: string | null = HUB) =>
  quorumOf({ rows, hubHost, rule: majority }).members.map(({ name, standing }) => `${name} ${standing}`);

describe("who counts", () => {
  it("one of each computer but the hub's own, the first that was let in", () => {
    const rows = [member("b", host(1)), member("c", host(1)), member("own", HUB), member("d", host(2))];
    // In whatever order they are known: that of their admission counts.
    expect(standings(rows.toReversed())).toEqual(["b counts", "c same-host", "own own-host", "d counts"]);
  });

  it("nobody whose machine was revoked after it was let in, and no voice of a computer is kept for it", () => {
    const [gone, back, anew] = [member("a", host(1)), member("b", host(2)), member("c", host(3), { byHand: true })];
    const rows = [
      { ...gone, revoked: { seq: seq + 1, now: true } },
      { ...back, revoked: { seq: seq + 2, now: false } },
      { ...anew, revoked: { seq: 0, now: false } },
      member("d", host(1)),
    ];
    expect(standings(rows)).toEqual(["a revoked", "b revoked", "c counts", "d counts"]);
    const quorum = quorumOf({ rows, hubHost: HUB, rule: majority });
    expect(quorum.asked.map(({ name }) => name)).toEqual(["c", "d"]);
    expect(trustPolicyOf(quorum, logs).text).toMatch(/# a does not count: revoked/);
  });

  it("nobody on a computer that is not known, unless a person vouches for it", () => {
    expect(standings([member("a", null), member("b", null, { byHand: true })])).toEqual(["a unknown-host", "b counts"]);
  });

  it("nobody that came by itself where the hub's own computer is not known", () => {
    expect(standings([member("a", host(1)), member("b", host(2), { byHand: true })], null)).toEqual([
      "a unknown-host",
      "b counts",
    ]);
  });

  it("is not a witness by a key that signs logs", () => {
    expect(witnessKey(keyOf("a"))).not.toBeNull();
    expect(witnessKey(keyOf("a", SIGNATURE_TYPES.ed25519))).toBeNull();
    expect(witnessKey("a+00000000+AAAA")).toBeNull();
  });
});

describe("the trust policy", () => {
  it("has logs, all witnesses, and a quorum of those that count", () => {
    const rows = [member("a", host(1)), member("b", host(2), { url: "https://b.example" }), member("own", HUB)];
    const policy = parsePolicy(trustPolicyOf(quorumOf({ rows, hubHost: HUB, rule: majority }), logs).text);
    expect(policy.logs.map(({ key }) => key.name)).toEqual(["plant-test/audit"]);
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
      ["a", null],
      ["b", "https://b.example"],
      ["own", null],
    ]);
    expect(policy.groups).toMatchObject([{ threshold: 2, members: ["a", "b"] }]);
    expect(policy.quorum).toBe(policy.groups[0]?.name);
  });

  it("asks for none where nobody counts, and for all where there are too few", () => {
    const none = trustPolicyOf(quorumOf({ rows: [member("own", HUB)], hubHost: HUB, rule: majority }), logs);
    expect(parsePolicy(none.text).quorum).toBeNull();
    const few = quorumOf({ rows: [member("a", host(1))], hubHost: HUB, rule: { kind: "count", count: 3 } });
    expect(few.threshold).toBe(3);
    expect(parsePolicy(trustPolicyOf(few, logs).text).groups).toMatchObject([{ threshold: 1 }]);
    expect(trustPolicyOf(few, logs).text).toMatch(/too few witnesses for a quorum of 3/);
  });
});
