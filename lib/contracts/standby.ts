import { z } from "zod";
import { BookName, Count, Instant, plainText, Segment, Sha256Hex, Uuid7 } from "./names.ts";

/**
 * What a standby says of its copy of a book: retained on `services/standby/books/<book>`, at most once a second.
 *
 * `note` is what counts for others: the newest checkpoint of which the standby has every record on disk, signed by the
 * log and cosigned by the standby (C2SP tlog-mirror, tlog-cosignature) under the key with which it is registered.
 * Whoever keeps entries until they lie on two disks may let those below its size go.
 */
export const StandbyState = z.strictObject({
  v: z.literal(1),
  book: BookName,
  /** `waiting` for a first checkpoint, `catching-up`, `following` with all records of the newest one proven, or `diverged`. */
  state: z.enum(["waiting", "catching-up", "following", "diverged"]),
  at: Instant,
  /** Records on the standby's disk, proven or not. */
  held: Count,
  proven: z.strictObject({ size: Count, root: Sha256Hex }).nullable(),
  note: z.string().nullable(),
  /** How much the log is known to have signed and the standby has not proven, and for how long, ms. */
  behind: z.strictObject({ records: Count, ms: Count }),
  /** What is wrong, in one sentence; null when nothing is. */
  message: z.string().nullable(),
});
export type StandbyState = z.infer<typeof StandbyState>;

/** The public keys of a log, each as one line: C2SP signed-note, "Verifier keys". */
const VerifierKeys = z.array(z.string().max(512)).min(1).max(8);

/** What a standby is given when it joins, and keeps: where the plant is, and by which keys it is known. */
export const Invitation = z.strictObject({
  v: z.literal(1),
  plant: z.strictObject({ id: Segment, createdAt: Instant }),
  /** Address of the broker. */
  url: z.string().max(512),
  /** The plant's authority (PEM), for `mqtts://`; null without TLS. */
  ca: z.string().max(16_384).nullable(),
  logs: z.strictObject({ production: VerifierKeys, audit: VerifierKeys }),
});
export type Invitation = z.infer<typeof Invitation>;

/**
 * What putting a standby's copy in a book's place leaves for the service to put on record at its next start.
 * `promoted`: the standby's computer takes the hub's place; `restored`: the book of a hub that goes on was lost.
 */
export const PromotionMark = z.strictObject({
  v: z.literal(1),
  /** `cut-off` until everything is in place: no service opens a store under such a mark. */
  state: z.enum(["cut-off", "done"]),
  act: z.enum(["promoted", "restored"]),
  /** Id of the event that tells of it. */
  event: Uuid7,
  book: BookName,
  at: Instant,
  /** What was put in place: everything of the newest checkpoint that was proven. */
  size: Count,
  root: Sha256Hex,
  /** How many records the book is known to have had; more than `size` where it was done on purpose. */
  known: Count,
  /** Of how many events that its records say were set apart the bytes did not come with it. */
  lacking: Count.default(0),
  /** The login of whoever did it, as the system knows it, and why. */
  by: z.string().max(64),
  reason: plainText(500),
  /** Of the book of production: from this record on, audit has not been told of them. Null where that is not known. */
  untold: Count.nullable(),
  /** Where what was there before lies now; null where nothing was. */
  aside: z.string().nullable(),
});
export type PromotionMark = z.infer<typeof PromotionMark>;
