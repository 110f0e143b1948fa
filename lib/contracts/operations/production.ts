import { z } from "zod";
import { Receipt } from "../events.ts";
import { Count, Instant, plainText, Segment, Uuid7 } from "../names.ts";
import { Entry, EntryFields, EntryVersion, Justification, Totals } from "../production.ts";
import { backupOperations } from "./backup.ts";
import { bookOperations } from "./book.ts";
import { ById, CORRECTORS, type Operation, PAGE, READERS, WRITERS } from "./operation.ts";

/** What the production service answers. */
export const productionOperations = {
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
    request: z.strictObject({ lot: plainText(64).nullable().default(null), ...PAGE }),
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
} as const satisfies Record<string, Operation>;
