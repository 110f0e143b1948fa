import { z } from "zod";
import { Instant, Sha256Hex } from "./names.ts";

/**
 * Payload of the event `witness.offered`: a machine says, under its own signature, by which key it cosigns. Whether it
 * counts for a quorum is not its own to say.
 */
export const WitnessOffer = z.strictObject({
  /** Its key with its name, as C2SP's signed-note writes it; of type 0x04 (Ed25519 cosignatures). */
  vkey: z.string().min(1).max(512),
  /**
   * Fingerprint of the computer that it runs on (`lib/runtime/host-fingerprint.ts`): a witness on the hub's own never
   * counts. Null where the computer has no id that could be read: such a one never counts either.
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
