import { z } from "zod";
import { BackupName, BackupReport, BackupRow } from "./backup.ts";
import { BookHead, BookProof, BookRecord, VerifyReport } from "./book.ts";
import { CommandArgs, CommandName, CommandRow, CommandView, TIMEOUT_MAXIMUM_MS, VALID_MAXIMUM_MS } from "./commands.ts";
import type { PersonProfile, ServiceName } from "./directory.ts";
import { Problem } from "./errors.ts";
import { Receipt } from "./events.ts";
import { ExportBegun, ExportPage, ExportRequest } from "./export.ts";
import { MachineRow } from "./machine.ts";
import { BookName, Count, Instant, PersonId, plainText, Segment, Sha256Hex, Uuid7 } from "./names.ts";
import { PersonalFields, PersonRecords } from "./privacy.ts";
import { QuarantinePage, QuarantinePiece } from "./quarantine.ts";
import { BookWitnessed, WitnessInfo, WitnessUrl } from "./witness-members.ts";
import { Entry, EntryFields, EntryVersion, Justification, Totals } from "./production.ts";

/** What travels on a request topic. Answered only until `notAfter`, by the service's clock. */
export const RequestEnvelope = z.strictObject({ v: z.literal(1), notAfter: Instant, body: z.unknown() });

/** The last word on a request. */
export const ResponseEnvelope = z.union([
  z.strictObject({ v: z.literal(1), status: z.literal("ok"), data: z.unknown() }),
  z.strictObject({ v: z.literal(1), status: z.literal("error"), error: Problem }),
]);
export type ResponseEnvelope = z.infer<typeof ResponseEnvelope>;

/** How far a request that takes long has come: any number of them, at most four a second, before the last word. */
export const ProgressEnvelope = z.strictObject({
  v: z.literal(1),
  status: z.literal("progress"),
  done: Count,
  of: Count,
});
export type ProgressEnvelope = z.infer<typeof ProgressEnvelope>;

/** What travels on a response topic. */
export const AnswerEnvelope = z.union([ResponseEnvelope, ProgressEnvelope]);

const WRITERS = ["operator", "supervisor", "coordinator", "administrator"] as const;
const CORRECTORS = ["supervisor", "coordinator", "administrator"] as const;
const READERS = [...WRITERS, "analyst"] as const;
const AUDITORS = ["coordinator", "analyst", "administrator"] as const;

const Page = { limit: z.int().min(1).max(500).default(50), after: z.string().max(128).nullable().default(null) };
const ById = z.strictObject({ id: Uuid7 });
const BySeqOrId = z.union([z.strictObject({ seq: Count }), ById]);

type Operation = {
  profiles: readonly PersonProfile[];
  /** Services that may ask as well. */
  services?: readonly ServiceName[];
  request: z.ZodType;
  response: z.ZodType;
  /** Changes nothing and its answers are large and many: they are not kept for duplicates of the request. */
  repeatable?: true;
};

/** What every book answers, under its own service's name. */
const bookOperations = {
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
    /** `seq`: of the record that tells of it. `offset`: of the bytes from which on they are wanted. */
    request: z.union([
      z.strictObject({ seq: Count, offset: Count.default(0) }),
      z.strictObject({ sha256: Sha256Hex, offset: Count.default(0) }),
    ]),
    response: QuarantinePiece,
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

/** What every service answers about the backups of its own store. The hub's stores are backed up over the directory's HTTP. */
const backupOperations = {
  "backup-create": { profiles: ["administrator"], request: z.strictObject({}), response: BackupReport },
  "backup-list": { profiles: ["administrator"], request: z.strictObject({}), response: z.array(BackupRow) },
  "backup-verify": {
    profiles: ["administrator"],
    request: z.strictObject({ name: BackupName }),
    response: BackupReport,
  },
} as const satisfies Record<string, Operation>;

/**
 * Every operation that a person can ask a service for: who may, what goes in, what comes out. The service checks the
 * profile and parses the body by this table; the command line and the console use the same schemas.
 */
export const OPERATIONS = {
  production: {
    ...bookOperations,
    ...backupOperations,
    "book-cosign": {
      /** The audit service asks the witnesses of both books, and has verified these signature lines. */
      profiles: [],
      services: ["audit"],
      request: z.strictObject({ size: Count, lines: z.string().min(1).max(16_384) }),
      response: z.null(),
    },
    "book-hold": {
      /** Somebody has seen `size` records of the book; null lets it go on from where it is. */
      profiles: [],
      services: ["audit"],
      request: z.strictObject({ behind: z.strictObject({ size: Count, by: z.string().max(128) }).nullable() }),
      response: z.null(),
    },
    "entry-add": {
      profiles: WRITERS,
      /** `id` is made by whoever asks, so that asking again books once. */
      request: z.strictObject({ id: Uuid7, at: Instant, tz: z.string().min(1).max(64), fields: EntryFields }),
      response: z.object({ id: Uuid7, receipt: Receipt }),
    },
    "entry-correct": {
      profiles: CORRECTORS,
      /** `rev` is the version that was seen; `event` the id of this change, made by whoever asks. */
      request: z.strictObject({
        id: Uuid7,
        event: Uuid7,
        rev: z.int().min(1),
        at: Instant.nullable().default(null),
        fields: EntryFields,
        reason: Justification,
      }),
      response: z.object({ id: Uuid7, rev: z.int(), receipt: Receipt }),
    },
    "entry-void": {
      profiles: CORRECTORS,
      request: z.strictObject({ id: Uuid7, event: Uuid7, rev: z.int().min(1), reason: Justification }),
      response: z.object({ id: Uuid7, rev: z.int(), receipt: Receipt }),
    },
    "entry-show": {
      profiles: READERS,
      request: ById,
      response: z.object({ entry: Entry, versions: z.array(EntryVersion) }),
    },
    "entry-list": {
      profiles: READERS,
      request: z.strictObject({ lot: plainText(64).nullable().default(null), ...Page }),
      response: z.object({ entries: z.array(Entry), next: z.string().nullable() }),
    },
    "entry-receipts": {
      profiles: READERS,
      request: z.strictObject({ ids: z.array(Uuid7).min(1).max(500) }),
      /** In the order of the ids, of the newest version of each; null for one that is not in the book. */
      response: z.object({ receipts: z.array(Receipt.nullable()) }),
    },
    "report-check": {
      profiles: READERS,
      /** Would entries that the reporter makes for these machines be booked? */
      request: z.strictObject({ reporter: Segment, machines: z.array(Segment).min(1).max(1000) }),
      response: z.object({
        /** Not registered, or not active. */
        unknown: z.array(Segment),
        /** Registered, but the reporter does not speak for them. */
        notSpokenFor: z.array(Segment),
      }),
    },
    "entry-totals": {
      profiles: READERS,
      request: z.strictObject({ lot: plainText(64).nullable().default(null) }),
      response: Totals,
    },
  },
  audit: {
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
  },
  fleet: {
    ...backupOperations,
    "machine-list": { profiles: READERS, request: z.strictObject({}), response: z.array(MachineRow) },
    "machine-show": { profiles: READERS, request: z.strictObject({ id: Segment }), response: MachineRow },
    "command-send": {
      profiles: CORRECTORS,
      /** `id` is made by whoever asks, so that asking again issues once. The catalogue's schema looks at `args`. */
      request: z.strictObject({
        id: Uuid7,
        machine: Segment,
        name: CommandName,
        args: CommandArgs.default({}),
        /** How long it may wait for the machine, ms. */
        validMs: z.int().min(1000).max(VALID_MAXIMUM_MS).default(60_000),
        /** How long its execution may take, ms; null for the catalogue's. */
        timeoutMs: z.int().min(100).max(TIMEOUT_MAXIMUM_MS).nullable().default(null),
      }),
      response: CommandView,
    },
    "command-show": { profiles: READERS, request: ById, response: CommandView },
    "command-list": {
      profiles: READERS,
      /** Newest first. */
      request: z.strictObject({
        machine: Segment.nullable().default(null),
        limit: z.int().min(1).max(500).default(50),
        after: Uuid7.nullable().default(null),
      }),
      response: z.object({ commands: z.array(CommandRow), next: Uuid7.nullable() }),
    },
  },
} as const satisfies Partial<Record<ServiceName, Record<string, Operation>>>;

export type Services = typeof OPERATIONS;
export type ServiceWithOperations = keyof Services;
export type OperationsOf<S extends ServiceWithOperations> = keyof Services[S] & string;
export type RequestOf<S extends ServiceWithOperations, O extends OperationsOf<S>> = Services[S][O] extends {
  request: infer R extends z.ZodType;
}
  ? z.output<R>
  : never;
export type RequestInput<S extends ServiceWithOperations, O extends OperationsOf<S>> = Services[S][O] extends {
  request: infer R extends z.ZodType;
}
  ? z.input<R>
  : never;
export type ResponseOf<S extends ServiceWithOperations, O extends OperationsOf<S>> = Services[S][O] extends {
  response: infer R extends z.ZodType;
}
  ? z.output<R>
  : never;

/** Looks an operation up by the words of a topic; null when no service offers it. */
export function findOperation(service: string, operation: string): Operation | null {
  const operations: Record<string, Record<string, Operation>> = OPERATIONS;
  if (!Object.hasOwn(operations, service)) return null;
  const ofService = operations[service] ?? {};
  return Object.hasOwn(ofService, operation) ? (ofService[operation] ?? null) : null;
}
