import { type QuorumRule, thresholdOf } from "../../../lib/contracts/quorum.ts";
import type { WitnessStanding } from "../../../lib/contracts/witness-members.ts";
import type { Policy } from "../../../lib/ledger/policy.ts";
import { parseVerifierKey, SIGNATURE_TYPES, type VerifierKey } from "../../../lib/ledger/signed-note.ts";
import { isRevoked, type WitnessRow } from "./membership.ts";

/** As many as a note has room to be signed by beside its log, and as readers of policies are asked to take. */
export const WITNESSES_MAXIMUM = 32;

/** Name of the group in the policy; no witness can be called so. */
const GROUP = "plant.quorum";

/** A witness that is let in. */
export type Member = {
  name: string;
  key: VerifierKey;
  url: string | null;
  host: string | null;
  standing: WitnessStanding;
};

/** Who is let in, who of them is asked and believed, who counts, and how many it takes; 0 where no quorum is asked for. */
export type Quorum = {
  members: readonly Member[];
  asked: readonly Member[];
  counting: readonly Member[];
  threshold: number;
};

/**
 * Who is let in, and whether each counts. Of several on one computer the first that was let in counts: whoever owns a
 * computer has one voice, however many agents run on it. One whose machine is revoked has none, and is not asked.
 *
 * @param o.hubHost - fingerprint of the hub's own computer; null where it could not be told, and then no witness that
 *   came by itself counts, since any could be on it.
 */
export function quorumOf(o: { rows: readonly WitnessRow[]; hubHost: string | null; rule: QuorumRule }): Quorum {
  const taken = new Set<string>();
  const members = o.rows
    .flatMap((row) => (row.admitted === null ? [] : [{ ...row.admitted, name: row.name, revoked: isRevoked(row) }]))
    .toSorted((one, other) => one.seq - other.seq)
    .map((admitted): Member => {
      const { name, url, host, vkey } = admitted;
      const standing = standingOf(admitted, o.hubHost, taken);
      if (standing === "counts" && host !== null) taken.add(host);
      return { name, key: parseVerifierKey(vkey), url, host, standing };
    });
  const asked = members.filter(({ standing }) => standing !== "revoked");
  const counting = members.filter(({ standing }) => standing === "counts");
  return { members, asked, counting, threshold: thresholdOf(o.rule, counting.length) };
}

function standingOf(
  { host, byHand, revoked }: { host: string | null; byHand: boolean; revoked: boolean },
  hubHost: string | null,
  taken: ReadonlySet<string>,
): WitnessStanding {
  if (revoked) return "revoked";
  // Whoever lets a witness in by hand, of which no computer is known, vouches for where it is.
  if (host === null) return byHand ? "counts" : "unknown-host";
  if (host === hubHost) return "own-host";
  if (hubHost === null && !byHand) return "unknown-host";
  return taken.has(host) ? "same-host" : "counts";
}

/** Whether a key may be a witness's: it reads as one, and cosigns. */
export function witnessKey(vkey: string): VerifierKey | null {
  try {
    const key = parseVerifierKey(vkey);
    return key.type === SIGNATURE_TYPES.cosignature ? key : null;
  } catch {
    return null;
  }
}

/** The quorum as a trust policy (C2SP tlog-policy), for whoever checks a checkpoint elsewhere. */
export function policyOf({ members, counting, threshold }: Quorum, logs: readonly VerifierKey[]): Policy {
  // A policy cannot ask for more witnesses than it names.
  const group = {
    name: GROUP,
    threshold: Math.min(threshold, counting.length),
    members: counting.map(({ name }) => name),
  };
  const hasGroup = group.threshold > 0;
  return {
    logs: logs.map((key) => ({ key, url: null })),
    witnesses: members.map(({ name, key, url }) => ({ name, key, url })),
    groups: hasGroup ? [group] : [],
    quorum: hasGroup ? GROUP : null,
  };
}
