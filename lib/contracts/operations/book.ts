import { z } from "zod";
import { BookHead, BookProof, BookRecord, VerifyReport } from "../book.ts";
import { ExportBegun, ExportPage, ExportRequest } from "../export.ts";
import { Count, PersonId, Segment, Sha256Hex, Uuid7 } from "../names.ts";
import { PersonRecords } from "../privacy.ts";
import { Justification } from "../production.ts";
import { QuarantinePage, QuarantinePiece } from "../quarantine.ts";
import { AUDITORS, BySeqOrId, type Operation, READERS } from "./operation.ts";

/** What every book answers, under its own service's name. */
export const bookOperations = {
  "book-head": { profiles: READERS, services: ["audit"], request: z.strictObject({}), response: BookHead },
  "book-record": { profiles: AUDITORS, request: BySeqOrId, response: BookRecord },
  "book-proof": { profiles: READERS, request: BySeqOrId, response: BookProof },
  "book-tail": {
    profiles: AUDITORS,
    /** Records before `before` (the newest when null), newest first. */
    request: z.strictObject({ limit: z.int().min(1).max(200).default(20), before: Count.nullable().default(null) }),
    response: z.object({ head: BookHead, records: z.array(BookRecord) }),
  },
  "book-range": {
    profiles: AUDITORS,
    services: ["standby"],
    /** Records from `from` on, oldest first: as many as were asked for, or fewer where they would be long. */
    request: z.strictObject({ from: Count, limit: z.int().min(1).max(1000).default(1000) }),
    /** Empty from the end of the book on. `head` is of the time of reading, so that a reader knows how much is left. */
    response: z.object({ head: BookHead, records: z.array(BookRecord) }),
    repeatable: true,
  },
  /** What could not be trusted and is kept beside the book; `id` leaves only what claims this id. */
  "quarantine-list": {
    profiles: AUDITORS,
    request: z.strictObject({
      limit: z.int().min(1).max(200).default(20),
      before: Count.nullable().default(null),
      id: z.string().min(1).max(64).nullable().default(null),
    }),
    response: QuarantinePage,
  },
  "quarantine-show": {
    profiles: AUDITORS,
    services: ["standby"],
    /** `seq`: of the record that tells of it. `offset`: of the bytes from which on they are wanted. */
    request: z.union([
      z.strictObject({ seq: Count, offset: Count.default(0) }),
      z.strictObject({ sha256: Sha256Hex, offset: Count.default(0) }),
    ]),
    response: QuarantinePiece,
    repeatable: true,
  },
  /** The newest checkpoint with the cosignatures that have come in; null before the first. */
  "book-checkpoint": {
    profiles: READERS,
    request: z.strictObject({}),
    response: z.object({ note: z.string().nullable() }),
  },
  "book-consistency": {
    profiles: READERS,
    services: ["audit"],
    request: z.strictObject({ first: Count, second: Count }),
    /** RFC 9162 §2.1.4, nearest first. */
    response: z.object({ path: z.array(Sha256Hex) }),
  },
  /** The keys that sign now, the one in use first, as vkeys; and the notes by which each handed over, the oldest first. */
  "book-keys": {
    profiles: READERS,
    services: ["standby"],
    request: z.strictObject({}),
    response: z.object({ keys: z.array(z.string()), rotations: z.array(z.string()) }),
  },
  "book-rotate-key": {
    profiles: ["administrator"],
    /** `retire` ends a rotation: the old key is destroyed and signs no more. */
    request: z.strictObject({ step: z.enum(["rotate", "retire"]), reason: Justification }),
    response: z.object({ keys: z.array(z.string()) }),
  },
  /** A record with its path to a checkpoint that others have signed too, where there is one: to be taken away. */
  "book-prove": {
    profiles: READERS,
    request: BySeqOrId,
    response: z.object({ record: BookRecord, path: z.array(Sha256Hex), checkpoint: z.string() }),
  },
  /** Begins an export and puts it on record. */
  "book-export": { profiles: AUDITORS, request: ExportRequest, response: ExportBegun },
  "book-export-page": {
    profiles: AUDITORS,
    /** `from`: 0, then the `next` of the page before. */
    request: z.strictObject({ id: Uuid7, from: Count }),
    response: ExportPage,
    repeatable: true,
  },
  /** What the book has of a person: one's own, or as administrator anybody's. */
  "person-records": {
    profiles: READERS,
    request: z.strictObject({ sub: z.union([PersonId, Segment]) }),
    response: PersonRecords,
  },
  "book-verify": {
    profiles: AUDITORS,
    /** `from`: the first record that has to be read; somewhat more may be. */
    request: z.strictObject({ from: Count.default(0) }),
    response: VerifyReport,
  },
} as const satisfies Record<string, Operation>;
