import { z } from "zod";
import { BookName, Count, Instant, Segment, Sha256Hex } from "./names.ts";

/*
 * Who is a witness of this plant's logs, and how far each has come: what the log's side knows.
 */

/** Payload of the event `witness.admitted`: by this key the log knows the witness named in the event from now on. */
export const WitnessAdmission = z.strictObject({
  vkey: z.string().min(1).max(512),
  /** Where it is asked by C2SP's tlog-witness over HTTP; null for a machine's agent, which is asked over MQTT. */
  url: z.string().max(512).nullable(),
  host: Sha256Hex.nullable(),
});
export type WitnessAdmission = z.infer<typeof WitnessAdmission>;

/**
 * Whether a witness counts for a quorum: `counts`; not `own-host`, on the computer of the hub; not `same-host`, on one
 * with another that counts; not `unknown-host`, where its computer could not be told; not `revoked`, whose machine was
 * revoked after it was let in; not `candidate`, which an administrator has to admit; not `removed`.
 */
export const WitnessStanding = z.enum([
  "counts",
  "own-host",
  "same-host",
  "unknown-host",
  "revoked",
  "candidate",
  "removed",
]);
export type WitnessStanding = z.infer<typeof WitnessStanding>;

/** How far a witness has come with one log. */
export const WitnessProgress = z.object({
  book: BookName,
  /** What it cosigned last, as the log knows; null for nothing yet. */
  size: Count.nullable(),
  at: Instant.nullable(),
  /** Records of the newest checkpoint that it has not cosigned. */
  lag: Count,
  error: z.string().nullable(),
});
export type WitnessProgress = z.infer<typeof WitnessProgress>;

/** A row of `rastro witness list`. */
export const WitnessInfo = z.object({
  name: Segment,
  standing: WitnessStanding,
  vkey: z.string(),
  url: z.string().nullable(),
  host: z.string().nullable(),
  logs: z.array(WitnessProgress),
});
export type WitnessInfo = z.infer<typeof WitnessInfo>;

/** How a book stands with its witnesses. */
export const BookWitnessed = z.object({
  book: BookName,
  /** Of the newest checkpoint; null before the first. */
  size: Count.nullable(),
  /** Cosigners that it takes, and that it has. */
  needed: Count,
  cosigned: Count,
  /** Sentences about what is wrong now. */
  troubles: z.array(z.string()),
});
export type BookWitnessed = z.infer<typeof BookWitnessed>;

/** Where a witness is asked: its "submission prefix" (C2SP tlog-witness). */
export const WitnessUrl = z
  .string()
  .max(512)
  .refine((text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, username, password, search, hash } = new URL(text);
    return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === "");
  }, "an http:// or https:// address without a user name");
