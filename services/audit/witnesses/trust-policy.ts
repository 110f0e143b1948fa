import { createHash } from "node:crypto";
import { formatPolicy } from "../../../lib/ledger/policy.ts";
import type { VerifierKey } from "../../../lib/ledger/signed-note.ts";
import { policyOf, type Quorum } from "./standing.ts";

/** A trust policy as the text of its file, and SHA-256 over it in hexadecimal. */
export type TrustPolicy = { text: string; sha256: string };

/**
 * Writes down whom to trust (C2SP tlog-policy): the plant's logs, its witnesses, and how many of them it takes. Text of
 * the same content is the same bytes, so that a copy kept elsewhere can be compared by its hash.
 */
export function trustPolicyOf(quorum: Quorum, logs: readonly VerifierKey[]): TrustPolicy {
  const { members, counting, threshold } = quorum;
  const aside = members.filter(({ standing }) => standing !== "counts");
  const comments = [
    "Trust policy of a Rastro plant (C2SP tlog-policy). Keep a copy where nobody of the hub can change it.",
    `Counting: ${counting.length} of ${members.length} witnesses; ${threshold === 0 ? "no quorum is asked for" : `a quorum is ${threshold}`}.`,
    ...(threshold > counting.length && threshold > 0
      ? [`There are too few witnesses for a quorum of ${threshold}.`]
      : []),
    ...aside.map(({ name, standing }) => `${name} does not count: ${standing}.`),
  ];
  const text = `${comments.map((line) => `# ${line}\n`).join("")}${formatPolicy(policyOf(quorum, logs))}`;
  return { text, sha256: createHash("sha256").update(text).digest("hex") };
}
