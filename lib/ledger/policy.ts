import { type Checkpoint, type Cosigner, cosignersOf, signedBy } from "./checkpoint.ts";
import { LedgerError } from "./error.ts";
import { formatVerifierKey, parseVerifierKey, SIGNATURE_TYPES, type VerifierKey } from "./signed-note.ts";

/*
 * Trust policies (C2SP tlog-policy): which logs, which witnesses, and how many of these have to have seen a checkpoint.
 */

/** `threshold` of the members, which are witnesses or groups defined before it. */
export type Group = { name: string; threshold: number; members: readonly string[] };

export type Policy = {
  logs: readonly { key: VerifierKey; url: string | null }[];
  witnesses: readonly { name: string; key: VerifierKey; url: string | null }[];
  groups: readonly Group[];
  /** Name of a witness or group; null for `none`. */
  quorum: string | null;
};

/** What a policy says of a checkpoint. `refusal` is the one reason against it, null where it holds. */
export type Verdict = { refusal: string | null; logs: VerifierKey[]; cosigners: (Cosigner & { name: string })[] };

const NONE = "none";

/** A line each, in the order in which a reader needs them. Ends with a line break. */
export function formatPolicy(policy: Policy): string {
  const withUrl = (words: string[], url: string | null) => [...words, ...(url === null ? [] : [url])].join(" ");
  const lines = [
    ...policy.logs.map(({ key, url }) => withUrl(["log", formatVerifierKey(key)], url)),
    ...policy.witnesses.map(({ name, key, url }) => withUrl(["witness", name, formatVerifierKey(key)], url)),
    ...policy.groups.map(({ name, threshold, members }) => ["group", name, threshold, ...members].join(" ")),
    `quorum ${policy.quorum ?? NONE}`,
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * Reads a policy file.
 *
 * @throws LedgerError `bad-policy` naming the line and what was expected.
 */
export function parsePolicy(text: string): Policy {
  const reading = new Reading();
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== "");
    if (words.length > 0 && !words[0]?.startsWith("#")) reading.take(words, index + 1);
  }
  return reading.finish();
}

/**
 * Whether a checkpoint holds by a policy: signed by one of its logs (by any where it names none, which the caller must
 * then know from elsewhere), and cosigned by a quorum.
 */
export function judgeCheckpoint(policy: Policy, checkpoint: Checkpoint): Verdict {
  const logs = signedBy(
    checkpoint,
    policy.logs.map(({ key }) => key),
  );
  const cosigners = policy.witnesses.flatMap(({ name, key }) =>
    cosignersOf(checkpoint, [key]).map((cosigner) => ({ ...cosigner, name })),
  );
  return { refusal: refusalOf(policy, checkpoint, logs, cosigners), logs, cosigners };
}

/** Whether these witnesses, by their names in the policy, make up its quorum. */
export function isQuorum(policy: Policy, names: ReadonlySet<string>): boolean {
  if (policy.quorum === null) return true;
  const met = new Set(names);
  // A group names only what stands before it, so that one pass in their order decides all.
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= threshold) met.add(name);
  }
  return met.has(policy.quorum);
}

function refusalOf(
  policy: Policy,
  { head }: Checkpoint,
  logs: readonly VerifierKey[],
  cosigners: Verdict["cosigners"],
): string | null {
  if (policy.logs.length > 0 && logs.length === 0) {
    return `the checkpoint of "${head.origin}" is not signed by a log of the policy`;
  }
  if (isQuorum(policy, new Set(cosigners.map(({ name }) => name)))) return null;
  const seen = cosigners.length === 0 ? "nobody" : cosigners.map(({ name }) => name).join(", ");
  return `the quorum "${policy.quorum}" is not met: of its ${policy.witnesses.length} witnesses ${seen} cosigned`;
}

/** A policy as far as it has been read. */
class Reading {
  readonly #logs: { key: VerifierKey; url: string | null }[] = [];
  readonly #witnesses: { name: string; key: VerifierKey; url: string | null }[] = [];
  readonly #groups: Group[] = [];
  readonly #inGroups = new Set<string>();
  #quorum: string | null | undefined;

  take(words: readonly string[], line: number): void {
    const [kind, ...rest] = words;
    if (kind === "log") this.#takeLog(rest, line);
    else if (kind === "witness") this.#takeWitness(rest, line);
    else if (kind === "group") this.#takeGroup(rest, line);
    else if (kind === "quorum") this.#takeQuorum(rest, line);
    else throw badPolicy(line, `it begins with "${kind}", expected log, witness, group or quorum`);
  }

  finish(): Policy {
    if (this.#quorum === undefined) throw badPolicy(null, "it has no quorum line");
    return { logs: this.#logs, witnesses: this.#witnesses, groups: this.#groups, quorum: this.#quorum };
  }

  #takeLog([vkey, url, ...rest]: readonly string[], line: number): void {
    if (vkey === undefined || rest.length > 0) throw badPolicy(line, "expected log <vkey> [<url>]");
    const key = keyOf(vkey, SIGNATURE_TYPES.ed25519, line);
    refuseDuplicate(key, this.#logs, line);
    this.#logs.push({ key, url: url ?? null });
  }

  #takeWitness([name, vkey, url, ...rest]: readonly string[], line: number): void {
    if (name === undefined || vkey === undefined || rest.length > 0) {
      throw badPolicy(line, "expected witness <name> <vkey> [<url>]");
    }
    this.#refuseKnown(name, line);
    const key = keyOf(vkey, SIGNATURE_TYPES.cosignature, line);
    refuseDuplicate(key, this.#witnesses, line);
    this.#witnesses.push({ name, key, url: url ?? null });
  }

  #takeGroup([name, count, ...members]: readonly string[], line: number): void {
    if (name === undefined || count === undefined || members.length === 0) {
      throw badPolicy(line, "expected group <name> <number, any or all> <members>");
    }
    this.#refuseKnown(name, line);
    for (const member of members) {
      if (!this.#isKnown(member)) throw badPolicy(line, `"${member}" is not defined before it`);
      if (this.#inGroups.has(member)) throw badPolicy(line, `"${member}" is a member already`);
      this.#inGroups.add(member);
    }
    this.#groups.push({ name, threshold: thresholdOf(count, members.length, line), members });
  }

  #takeQuorum([name, ...rest]: readonly string[], line: number): void {
    if (this.#quorum !== undefined) throw badPolicy(line, "there is a quorum line before it");
    if (name === undefined || rest.length > 0) throw badPolicy(line, "expected quorum <name>");
    if (name !== NONE && !this.#isKnown(name)) throw badPolicy(line, `"${name}" is not defined before it`);
    this.#quorum = name === NONE ? null : name;
  }

  #isKnown(name: string): boolean {
    return [...this.#witnesses, ...this.#groups].some((known) => known.name === name);
  }

  #refuseKnown(name: string, line: number): void {
    if (name === NONE || this.#isKnown(name)) throw badPolicy(line, `the name "${name}" is taken`);
  }
}

function keyOf(vkey: string, type: VerifierKey["type"], line: number): VerifierKey {
  let key: VerifierKey;
  try {
    key = parseVerifierKey(vkey);
  } catch (thrown) {
    throw badPolicy(line, thrown instanceof Error ? thrown.message : "the key does not read as one");
  }
  if (key.type !== type) throw badPolicy(line, `the key has signature type ${key.type}, expected ${type}`);
  return key;
}

function refuseDuplicate(key: VerifierKey, others: readonly { key: VerifierKey }[], line: number): void {
  if (others.some((other) => other.key.publicRaw.equals(key.publicRaw)))
    throw badPolicy(line, "its key is listed already");
}

function thresholdOf(count: string, members: number, line: number): number {
  if (count === "any") return 1;
  if (count === "all") return members;
  const threshold = /^[1-9]\d{0,3}$/.test(count) ? Number(count) : 0;
  if (threshold < 1 || threshold > members) throw badPolicy(line, `"${count}" is no number of 1 to ${members}`);
  return threshold;
}

function badPolicy(line: number | null, why: string): LedgerError {
  return new LedgerError(
    "bad-policy",
    `Reading ${line === null ? "a policy" : `line ${line} of a policy`} failed: ${why}.`,
  );
}
