import { RastroError } from "../../../lib/contracts/errors.ts";
import { formatAddCheckpoint } from "../../../lib/ledger/add-checkpoint.ts";
import type { WitnessAnswer } from "../../../lib/contracts/witness.ts";
import type { Checkpoint } from "../../../lib/ledger/checkpoint.ts";
import { cosignedAt } from "../../../lib/ledger/cosignature.ts";
import {
  formatSignature,
  type NoteSignature,
  parseSignatures,
  type VerifierKey,
} from "../../../lib/ledger/signed-note.ts";
import { asSigned, provenSize, type WitnessedLog } from "./witnessed-log.ts";

/**
 * Carries one request to one witness, about the log of this origin; null for what reads as no answer.
 *
 * @throws RastroError `timeout` or `not_reachable`.
 */
export type Carry = (request: string, origin: string) => Promise<WitnessAnswer | null>;

/** What came of asking a witness. */
export type Outcome =
  /** `lines`: its cosignature as it goes into the note; `time` in seconds, by its clock. */
  | { kind: "cosigned"; checkpoint: Checkpoint; lines: string; time: number }
  /** It has seen more records than the log has: a checkpoint that the log signed over `size` of them proves it. */
  | { kind: "ahead"; size: number }
  /** It says that it has seen so many, more than the log has, and shows no checkpoint of the log that proves it. */
  | { kind: "unproven"; size: number }
  /** It says that the log contradicts what it cosigned before, of which `old` is the size. */
  | { kind: "conflict"; checkpoint: Checkpoint; old: number; why: string }
  /** `why` says what it answers, and with what reason. */
  | { kind: "refused"; why: string }
  | { kind: "away"; why: string };

/** A witness that answers 409 to the size that it named just before has others ask it meanwhile: later. */
const ATTEMPTS = 3;

/**
 * Asks one witness for its cosignature of the newest checkpoint (C2SP tlog-witness, "add-checkpoint"): with what is
 * known of its state, and with what it says of it where that was wrong.
 *
 * @param o.known - what it cosigned last as far as is known; 0 for nothing.
 * @param o.onSize - told the size that it says it has, unless the log has fewer records and nothing proves it.
 */
export async function askForCosignature(o: {
  log: WitnessedLog;
  checkpoint: Checkpoint;
  key: VerifierKey;
  known: number;
  carry: Carry;
  onSize: (size: number) => void;
}): Promise<Outcome> {
  const { checkpoint } = o;
  // Of more than there is it is asked to show a proof, anew each time: from 0 on whoever has cosigned anything answers 409.
  let old = o.known > checkpoint.head.size ? 0 : o.known;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const answer = await sent(o, old);
    if ("kind" in answer) return answer;
    if (answer.status !== 409) return judged(o, answer, old);
    if (answer.size > checkpoint.head.size) return beyond(o, answer);
    o.onSize(answer.size);
    old = answer.size;
  }
  return { kind: "away", why: "its size changed each time that it was asked" };
}

async function sent(
  { log, checkpoint, carry }: { log: WitnessedLog; checkpoint: Checkpoint; carry: Carry },
  old: number,
): Promise<WitnessAnswer | (Outcome & { kind: "away" | "refused" })> {
  try {
    const proof = await log.consistency(old, checkpoint.head.size);
    const request = formatAddCheckpoint({ old, proof, checkpoint: asSigned(checkpoint) });
    const answer = await carry(request, checkpoint.head.origin);
    return answer ?? { kind: "refused", why: "what it answers is no answer of a witness" };
  } catch (thrown) {
    if (thrown instanceof RastroError) return { kind: "away", why: thrown.message };
    throw thrown;
  }
}

/** Nobody else makes checkpoints of the log: more than it has on its disk now, and has signed, it has lost. */
async function beyond(
  { log, onSize }: { log: WitnessedLog; onSize: (size: number) => void },
  said: { size: number; note: string | null },
): Promise<Outcome> {
  try {
    const has = await log.size();
    if (said.size <= has) return { kind: "away", why: "the log has a newer checkpoint" };
    const size = provenSize(said.note, log.keys());
    if (size <= has) return { kind: "unproven", size: said.size };
    onSize(size);
    return { kind: "ahead", size };
  } catch (thrown) {
    if (thrown instanceof RastroError) return { kind: "away", why: thrown.message };
    throw thrown;
  }
}

function judged(
  o: { checkpoint: Checkpoint; key: VerifierKey },
  answer: Exclude<WitnessAnswer, { status: 409 }>,
  old: number,
): Outcome {
  const { checkpoint, key } = o;
  if (answer.status === 200) return cosignedBy(key, checkpoint, answer.signatures);
  const { status, why } = answer;
  if (status === 422) return { kind: "conflict", checkpoint, old, why };
  // It says itself that it cannot say: its disk, or too much at once.
  if (status === 429 || status >= 500) return { kind: "away", why: `it answers ${status}: ${why}` };
  return { kind: "refused", why: `it answers ${status}: ${why}` };
}

function cosignedBy(key: VerifierKey, checkpoint: Checkpoint, signatures: string): Outcome {
  const own = linesOf(signatures).filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
  const time = cosignedAt({ text: checkpoint.note.text, signatures: own }, key);
  if (typeof time !== "number") return { kind: "refused", why: "its cosignature does not fit its key" };
  return { kind: "cosigned", checkpoint, lines: own.map(formatSignature).join(""), time };
}

function linesOf(body: string): NoteSignature[] {
  try {
    return parseSignatures(body);
  } catch {
    return [];
  }
}
