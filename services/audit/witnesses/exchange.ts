import { RastroError } from "../../../lib/contracts/errors.ts";
import { formatAddCheckpoint } from "../../../lib/ledger/add-checkpoint.ts";
import type { Checkpoint } from "../../../lib/ledger/checkpoint.ts";
import { cosignedAt } from "../../../lib/ledger/cosignature.ts";
import {
  formatSignature,
  type NoteSignature,
  parseSignatures,
  type VerifierKey,
} from "../../../lib/ledger/signed-note.ts";
import { asSigned, type WitnessedLog } from "./witnessed-log.ts";

/** What a witness answers, whatever carried it. `status` as in HTTP. */
export type Answer = { status: number; body: string };

/** Carries one request to one witness. @throws RastroError `timeout` or `not_reachable`. */
export type Carry = (request: string) => Promise<Answer>;

/** What came of asking a witness. */
export type Outcome =
  /** `lines`: its cosignature as it goes into the note; `time` in seconds, by its clock. */
  | { kind: "cosigned"; checkpoint: Checkpoint; lines: string; time: number }
  /** It has seen more records than the log has. */
  | { kind: "ahead"; size: number }
  /** It says that the log contradicts what it cosigned before, of which `old` is the size. */
  | { kind: "conflict"; checkpoint: Checkpoint; old: number; why: string }
  | { kind: "refused"; status: number; why: string }
  | { kind: "away"; why: string };

/** A witness that answers 409 to the size that it named just before has others ask it meanwhile: later. */
const ATTEMPTS = 3;

/**
 * Asks one witness for its cosignature of the newest checkpoint (C2SP tlog-witness, "add-checkpoint"): with what is
 * known of its state, and with what it says of it where that was wrong.
 *
 * @param o.known - what it cosigned last as far as is known; 0 for nothing.
 * @param o.onSize - told the size that it says it has.
 */
export async function askForCosignature(o: {
  log: WitnessedLog;
  checkpoint: Checkpoint;
  key: VerifierKey;
  known: number;
  carry: Carry;
  onSize: (size: number) => void;
}): Promise<Outcome> {
  const { log, checkpoint } = o;
  let old = o.known;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (old > checkpoint.head.size) return beyond(log, old);
    const answer = await sent(o, old);
    if (answer.kind !== "answer") return answer;
    if (answer.status !== 409) return judged(o, answer, old);
    const size = sizeIn(answer.body);
    if (size === null) return { kind: "refused", status: 409, why: "it names no size" };
    o.onSize(size);
    old = size;
  }
  return { kind: "away", why: "its size changed each time that it was asked" };
}

async function sent(
  { log, checkpoint, carry }: { log: WitnessedLog; checkpoint: Checkpoint; carry: Carry },
  old: number,
): Promise<(Answer & { kind: "answer" }) | { kind: "away"; why: string }> {
  try {
    const proof = await log.consistency(old, checkpoint.head.size);
    return { kind: "answer", ...(await carry(formatAddCheckpoint({ old, proof, checkpoint: asSigned(checkpoint) }))) };
  } catch (thrown) {
    if (thrown instanceof RastroError) return { kind: "away", why: thrown.message };
    throw thrown;
  }
}

/** Nobody else makes checkpoints of the log: more than it has on its disk now, it has lost. */
async function beyond(log: WitnessedLog, size: number): Promise<Outcome> {
  try {
    return (await log.size()) < size
      ? { kind: "ahead", size }
      : { kind: "away", why: "the log has a newer checkpoint" };
  } catch (thrown) {
    if (thrown instanceof RastroError) return { kind: "away", why: thrown.message };
    throw thrown;
  }
}

function judged(o: { checkpoint: Checkpoint; key: VerifierKey }, { status, body }: Answer, old: number): Outcome {
  const { checkpoint, key } = o;
  if (status === 422) return { kind: "conflict", checkpoint, old, why: sentence(body) };
  // It says itself that it cannot say: its disk, or too much at once.
  if (status >= 500) return { kind: "away", why: `it answers ${status}: ${sentence(body)}` };
  if (status !== 200) return { kind: "refused", status, why: sentence(body) };
  const own = linesOf(body).filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
  const time = cosignedAt({ text: checkpoint.note.text, signatures: own }, key);
  if (typeof time !== "number") return { kind: "refused", status, why: "its cosignature does not fit its key" };
  return { kind: "cosigned", checkpoint, lines: own.map(formatSignature).join(""), time };
}

function linesOf(body: string): NoteSignature[] {
  try {
    return parseSignatures(body);
  } catch {
    return [];
  }
}

function sizeIn(body: string): number | null {
  const size = Number(/^(0|[1-9]\d{0,15})\n?$/.exec(body)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(size) ? size : null;
}

/** What a witness says is shown to people: one line of printable characters. */
function sentence(body: string): string {
  const line =
    body
      .split("\n")[0]
      ?.replaceAll(/\p{Cc}/gu, "")
      .trim() ?? "";
  return line === "" ? "without a reason" : line.slice(0, 200);
}
