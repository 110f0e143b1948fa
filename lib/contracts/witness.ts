import { z } from "zod";
import { Count, Instant, Sha256Hex } from "./names.ts";

/**
 * Payload of the event `witness.offered`: a machine says, under its own signature, by which key it cosigns. Whether it
 * counts for a quorum is not its own to say.
 */
export const WitnessOffer = z.strictObject({
  /** Its key with its name, as C2SP's signed-note writes it; of type 0x04 (Ed25519 cosignatures). */
  vkey: z.string().min(1).max(512),
  /**
   * Fingerprint of the computer that it runs on (`lib/runtime/host-fingerprint.ts`): a witness on the hub's own never
   * counts. Null where the computer has no id that could be read: a person has to let such a one in.
   */
  host: Sha256Hex.nullable(),
});
export type WitnessOffer = z.infer<typeof WitnessOffer>;

/**
 * What a witness has found out about a log:
 *
 * - `forked`: the log has signed two roots for one size. The two notes prove it to anybody.
 * - `inconsistent`: it asked for a cosignature and did not prove that its history goes on from the one cosigned before.
 * - `rolled-back`: for longer than a minute it has published a checkpoint that is smaller than the one cosigned.
 */
export const WitnessAlarmKind = z.enum(["forked", "inconsistent", "rolled-back"]);

/**
 * Retained on `machines/<id>/witness/<book>/alarm`, and kept by the witness on its own disk until somebody there clears
 * it. Both notes are as the log signed them, so that a third party can judge without the witness.
 */
export const WitnessAlarm = z.strictObject({
  v: z.literal(1),
  alarm: WitnessAlarmKind,
  /** Names the log. */
  origin: z.string().min(1).max(255),
  since: Instant,
  /** One sentence that says what was found. */
  message: z.string().min(1).max(1000),
  /** The checkpoint that this witness cosigned last, with that cosignature; null when it has cosigned none. */
  cosigned: z.string().max(65_536).nullable(),
  /** The checkpoint that does not go with it. */
  seen: z.string().max(65_536),
});
export type WitnessAlarm = z.infer<typeof WitnessAlarm>;

/** What a machine's summary says of each log that it witnesses: the size and time that it cosigned last. */
export const WitnessReport = z.strictObject({
  origin: z.string().min(1).max(255),
  size: Count.nullable(),
  at: Instant.nullable(),
  alarm: WitnessAlarmKind.nullable(),
});
export type WitnessReport = z.infer<typeof WitnessReport>;

/** The longest request to a witness: 63 hashes and a note, with room to spare. */
export const WITNESS_REQUEST_MAXIMUM: number = 72 * 1024;

const REFUSALS = [400, 403, 404, 422, 429, 500, 503] as const;

/**
 * What a witness answers a request with: the statuses of C2SP's tlog-witness; 429, 500 and 503 where it cannot say.
 */
export type WitnessAnswer =
  | { status: 200; /** Lines as in a note. */ signatures: string }
  | {
      status: 409;
      /** Of the checkpoint that it cosigned last; 0 for none. */
      size: number;
      /** That checkpoint, by which whoever asks can tell that the size is none made up; null where it is not shown. */
      note: string | null;
    }
  | { status: (typeof REFUSALS)[number]; /** One line. */ why: string };

/** The body of an answer, as tlog-witness has it over HTTP. */
export function witnessAnswerBody(answer: WitnessAnswer): string {
  if (answer.status === 200) return answer.signatures;
  return answer.status === 409 ? `${answer.size}\n` : `${answer.why}\n`;
}

/**
 * An answer as it travels on `machines/<id>/witness/<book>/response/<request>`: a line with the status, then the body. A
 * size is followed by an empty line and the checkpoint, which over HTTP has an address of its own.
 */
export function formatWitnessAnswer(answer: WitnessAnswer): string {
  const shown = answer.status === 409 && answer.note !== null ? `\n${answer.note}` : "";
  return `${answer.status}\n${witnessAnswerBody(answer)}${shown}`;
}

/** Reads what {@link formatWitnessAnswer} wrote; null for anything else. Says nothing of the signatures. */
export function parseWitnessAnswer(text: string): WitnessAnswer | null {
  const [, status = "", body = ""] = /^(\d{3})\n([^]*)$/.exec(text) ?? [];
  return readWitnessAnswer(Number(status), body);
}

/** As {@link parseWitnessAnswer}, of an answer whose status came by itself, as over HTTP. */
export function readWitnessAnswer(status: number, body: string): WitnessAnswer | null {
  if (status === 200) return body.endsWith("\n") ? { status, signatures: body } : null;
  if (status === 409) return sizeIn(body);
  const refusal = REFUSALS.find((known) => known === status);
  return refusal === undefined ? null : { status: refusal, why: sentenceIn(body) };
}

function sizeIn(body: string): WitnessAnswer | null {
  const [, digits, note = null] = /^(0|[1-9]\d{0,15})(?:\n(?:\n([^]+))?)?$/.exec(body) ?? [];
  const size = Number(digits);
  return Number.isSafeInteger(size) ? { status: 409, size, note } : null;
}

/** What a witness says is shown to people: one line of printable characters. */
function sentenceIn(body: string): string {
  const [line = ""] = body.split("\n");
  const shown = line.replaceAll(/\p{Cc}/gu, "").trim();
  return shown === "" ? "without a reason" : shown.slice(0, 300);
}
