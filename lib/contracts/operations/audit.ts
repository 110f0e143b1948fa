import { z } from "zod";
import { BookHead, BookProof } from "../book.ts";
import { BookName, Count, Segment, Sha256Hex, Uuid7 } from "../names.ts";
import { PersonalFields } from "../privacy.ts";
import { Justification } from "../production.ts";
import { BookWitnessed, WitnessInfo, WitnessUrl } from "../witness-members.ts";
import { backupOperations } from "./backup.ts";
import { bookOperations } from "./book.ts";
import { AUDITORS, BySeqOrId, type Operation, READERS } from "./operation.ts";

/** What the audit service answers. */
export const auditOperations = {
  ...bookOperations,
  ...backupOperations,
  "witness-list": {
    profiles: AUDITORS,
    request: z.strictObject({}),
    response: z.object({ witnesses: z.array(WitnessInfo), books: z.array(BookWitnessed) }),
  },
  "witness-policy": {
    profiles: READERS,
    request: z.strictObject({}),
    /** A C2SP tlog-policy. */
    response: z.object({ text: z.string(), sha256: Sha256Hex }),
  },
  "witness-add": {
    profiles: ["administrator"],
    /** `event` is the id of this change. Without a key: by the one that the machine of this name has offered. */
    request: z.strictObject({
      event: Uuid7,
      name: Segment,
      vkey: z.string().max(512).nullable(),
      url: WitnessUrl.nullable(),
      reason: Justification,
    }),
    response: z.object({ sha256: Sha256Hex }),
  },
  "witness-remove": {
    profiles: ["administrator"],
    request: z.strictObject({ event: Uuid7, name: Segment, reason: Justification }),
    response: z.object({ sha256: Sha256Hex }),
  },
  "accept-loss": {
    profiles: ["administrator"],
    request: z.strictObject({ event: Uuid7, book: BookName, reason: Justification }),
    response: z.object({ book: BookName, size: Count }),
  },
  "audit-tail": {
    profiles: AUDITORS,
    request: z.strictObject({ limit: z.int().min(1).max(200).default(20), before: Count.nullable().default(null) }),
    /** Records with names and reasons readable, for people; `record` is the stored record. */
    response: z.object({
      head: BookHead,
      rows: z.array(
        z.object({
          seq: Count,
          leaf: z.string(),
          record: z.unknown(),
          who: z.string().nullable(),
          text: z.string().nullable(),
          personal: PersonalFields,
        }),
      ),
    }),
  },
  /** Public keys of machines and services, each as a vkey: what an outsider checks the signatures of events with. */
  "audit-keys": {
    profiles: READERS,
    request: z.strictObject({}),
    response: z.object({ keys: z.array(z.string()) }),
  },
  "audit-show": {
    profiles: AUDITORS,
    request: BySeqOrId,
    response: z.object({
      proof: BookProof,
      record: z.unknown(),
      who: z.string().nullable(),
      text: z.string().nullable(),
      personal: PersonalFields,
    }),
  },
} as const satisfies Record<string, Operation>;
