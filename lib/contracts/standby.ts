import { z } from "zod";
import { BookName, Count, Instant, Segment, Sha256Hex } from "./names.ts";

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
