import { type Checkpoint, hasFittingRoot, parseCheckpoint, signedBy, type TreeHead } from "./checkpoint.ts";
import { LedgerError } from "./error.ts";
import { HASH_LENGTH } from "./hash.ts";
import { verifyConsistency } from "./proof.ts";
import type { VerifierKey } from "./signed-note.ts";

/*
 * The call `add-checkpoint` between a log and its witness (C2SP tlog-witness), without what carries it.
 */

/** The most hashes that a request may have (tlog-witness, "add-checkpoint"). */
const PROOF_MAXIMUM = 63;

/** A log asks for a cosignature: the size that the witness has, the proof from there on, and the checkpoint as a note. */
export type AddCheckpoint = { old: number; proof: Buffer[]; checkpoint: string };

/** What a witness knows of a log: all that it remembers between two requests. */
export type Witnessed = Pick<TreeHead, "size" | "root">;

/**
 * What a witness has to answer, with the status codes of HTTP. With 200 it keeps the checkpoint's head, on disk, before
 * it answers with a cosignature. `conflict`: the log has signed two histories, and the note in hand proves it.
 */
export type Judgement =
  | { status: 200; checkpoint: Checkpoint }
  | { status: 409; size: number }
  | { status: 400 | 403 | 404; why: string }
  | { status: 422; why: string; conflict: Checkpoint };

/** @throws LedgerError `bad-tree` beyond 63 hashes. */
export function formatAddCheckpoint({ old, proof, checkpoint }: AddCheckpoint): string {
  if (proof.length > PROOF_MAXIMUM)
    throw new LedgerError("bad-tree", `Asking a witness failed: ${proof.length} hashes.`);
  return `old ${old}\n${proof.map((hash) => `${hash.toString("base64")}\n`).join("")}\n${checkpoint}`;
}

/**
 * Reads what {@link formatAddCheckpoint} wrote.
 *
 * @throws LedgerError `bad-note` for anything else.
 */
export function parseAddCheckpoint(text: string): AddCheckpoint {
  const end = text.indexOf("\n\n");
  const [first = "", ...lines] = end === -1 ? [] : text.slice(0, end).split("\n");
  const old = /^old (0|[1-9]\d{0,15})$/.exec(first)?.[1];
  const proof = lines.map((line) => ({ line, hash: Buffer.from(line, "base64") }));
  const areHashes = proof.every(({ line, hash }) => hash.length === HASH_LENGTH && hash.toString("base64") === line);
  if (old === undefined || !areHashes || proof.length > PROOF_MAXIMUM || !Number.isSafeInteger(Number(old))) {
    throw new LedgerError(
      "bad-note",
      "Reading a request to a witness failed: expected old size, proof and checkpoint.",
    );
  }
  return { old: Number(old), proof: proof.map(({ hash }) => hash), checkpoint: text.slice(end + 2) };
}

/**
 * Decides a request as tlog-witness prescribes, in its order: known log, its signature, sizes, consistency.
 *
 * @param o.logKeys - the keys that this witness trusts, of all its logs; a key's name is its log's origin.
 * @param o.witnessed - what it has cosigned of that log last; null for nothing yet.
 */
export function judgeAddCheckpoint(
  request: string,
  o: { logKeys: readonly VerifierKey[]; witnessed: (origin: string) => Witnessed | null },
): Judgement {
  const read = readRequest(request);
  if (read === null) return { status: 400, why: "the request has another form" };
  const { checkpoint, old, proof } = read;
  const { head } = checkpoint;
  if (!o.logKeys.some(({ name }) => name === head.origin))
    return { status: 404, why: `"${head.origin}" is not known here` };
  if (signedBy(checkpoint, o.logKeys).length === 0) return { status: 403, why: "no known key of the log signed it" };
  if (old > head.size) return { status: 400, why: `the old size ${old} is above the checkpoint's ${head.size}` };
  const witnessed = o.witnessed(head.origin);
  if (old !== (witnessed?.size ?? 0)) return { status: 409, size: witnessed?.size ?? 0 };
  const why = whyInconsistent(witnessed, head, proof);
  return why === null ? { status: 200, checkpoint } : { status: 422, why, conflict: checkpoint };
}

function readRequest(request: string): (Omit<AddCheckpoint, "checkpoint"> & { checkpoint: Checkpoint }) | null {
  try {
    const { checkpoint, ...rest } = parseAddCheckpoint(request);
    return { ...rest, checkpoint: parseCheckpoint(checkpoint) };
  } catch {
    return null;
  }
}

function whyInconsistent(witnessed: Witnessed | null, head: TreeHead, proof: readonly Buffer[]): string | null {
  if (!hasFittingRoot(head)) return "an empty log has another root";
  if (witnessed === null || witnessed.size === 0)
    return proof.length === 0 ? null : "nothing is to be proven from size 0";
  if (witnessed.size === head.size && !witnessed.root.equals(head.root)) {
    return `at size ${head.size} the log had another root before`;
  }
  const isConsistent = verifyConsistency({
    first: witnessed.size,
    second: head.size,
    firstRoot: witnessed.root,
    secondRoot: head.root,
    path: proof,
  });
  return isConsistent ? null : `the proof from size ${witnessed.size} to ${head.size} does not hold`;
}
