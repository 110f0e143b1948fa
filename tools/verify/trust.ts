import { followRotations } from "../../lib/ledger/key-rotation.ts";
import type { OriginKey } from "../../lib/ledger/origin-signatures.ts";
import { judgeCheckpoint, parsePolicy, type Policy } from "../../lib/ledger/policy.ts";
import { type Checkpoint, parseCheckpoint } from "../../lib/ledger/checkpoint.ts";
import {
  formatVerifierKey,
  parseVerifierKey,
  SIGNATURE_TYPES,
  type VerifierKey,
} from "../../lib/ledger/signed-note.ts";
import type { CheckpointReport } from "./report.ts";

/** Whom to believe. `policy` is null when nobody's signature on a checkpoint is asked for. */
export type Trust = { policy: Policy | null; origins: OriginKey[] };

/** Thrown for what is wrong with the options, not with the file. */
export class UsageFault extends Error {}

/**
 * Puts together whom to believe. A key of a log goes by the log's origin, that of a machine or service by its name: both
 * are given with `--key`, and which it is shows when a checkpoint or an event names it.
 *
 * @param o.policy - text of a tlog-policy file, null without one.
 * @param o.keys - vkeys.
 * @param o.rotations - text with the notes by which keys of logs handed over to others, which are believed then as well.
 * @throws UsageFault when a key or the policy does not read as one, or when no log is named at all.
 */
export function trustOf(o: {
  policy: string | null;
  keys: readonly string[];
  rotations?: string;
  hashesOnly: boolean;
}): Trust {
  const keys = o.keys.map(readKey);
  const origins = keys.map(({ name, publicRaw }) => ({ name, publicKey: publicRaw }));
  if (o.hashesOnly) return { policy: null, origins };
  const policy = o.policy === null ? NOBODY : readPolicy(o.policy);
  const named = [...policy.logs, ...keys.map((key) => ({ key, url: null }))];
  const followed = named.flatMap(({ key, url }) => follow(key, o.rotations ?? "").map((next) => ({ key: next, url })));
  const logs = [...new Map(followed.map((log) => [formatVerifierKey(log.key), log])).values()];
  if (logs.length > 0) return { policy: { ...policy, logs }, origins };
  throw new UsageFault(
    "Nobody is named whose signature is believed: give --policy <file> or --key <vkey of the log>, or --hashes-only to look at no signature of a checkpoint.",
  );
}

/** The notes of a text, whatever stands before the first. A key that none of them hands over stays alone. */
function follow(key: VerifierKey, text: string): VerifierKey[] {
  const notes = text.split(ROTATION_START).slice(1);
  const ours = notes
    .map((note) => `${ROTATION_START}${note.trimEnd()}\n`)
    .filter((note) => note.split("\n")[1] === key.name);
  return attempt(() => followRotations(key, ours));
}

/** How each note begins (docs/ledger-format.md, "Change of a log's key"). */
const ROTATION_START = "rastro/log-key-rotation@v1\n";

const NOBODY: Policy = { logs: [], witnesses: [], groups: [], quorum: null };

function readKey(vkey: string) {
  const key = attempt(() => parseVerifierKey(vkey));
  if (key.type === SIGNATURE_TYPES.ed25519) return key;
  throw new UsageFault(`--key is that of the witness ${key.name}; expected: a key of a log, machine or service.`);
}

function readPolicy(text: string): Policy {
  return attempt(() => parsePolicy(text));
}

function attempt<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new UsageFault(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * What a checkpoint comes to under a policy: who signed, who cosigned and when.
 *
 * @throws LedgerError `bad-note` for what is no checkpoint.
 * @throws Error with the one reason why the policy refuses it.
 */
export function believe(policy: Policy, checkpoint: Checkpoint | string): CheckpointReport {
  const parsed = typeof checkpoint === "string" ? parseCheckpoint(checkpoint) : checkpoint;
  const { refusal, logs, cosigners } = judgeCheckpoint(policy, parsed);
  if (refusal !== null) throw new Error(refusal);
  const { origin, size, root } = parsed.head;
  return {
    origin,
    size,
    root: root.toString("hex"),
    signedBy: logs.map(({ name, keyId }) => ({ name, keyId: keyId.toString(16).padStart(8, "0") })),
    cosignedBy: cosigners.map(({ name, witness, time }) => ({
      name,
      key: witness.name,
      time: new Date(time * 1000).toISOString(),
    })),
    quorum: policy.quorum,
  };
}

/** The sentence that it holds. */
export function believed({ size, quorum }: CheckpointReport): string {
  const witnesses = quorum === null ? "" : `, and cosigned by the quorum "${quorum}"`;
  return `the checkpoint of ${size} records is signed by the log${witnesses}`;
}
