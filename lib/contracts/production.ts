import { z } from "zod";
import { Count, Instant, plainText, Segment, Sha256Hex, Uuid7 } from "./names.ts";
import { Receipt } from "./events.ts";

/** Why an entry was changed. The text beside the code says it in the person's own words. */
export const REASON_CODES = {
  COUNT_FIX: "the count was wrong",
  WRONG_LOT: "the lot was wrong",
  WRONG_MACHINE: "the machine was wrong",
  WRONG_DEFECT: "the defect was wrong",
  WRONG_TIME: "the time was wrong",
  REINSPECTION: "an inspection changed the count",
  DUPLICATE: "the same production was entered twice",
  TEST_ENTRY: "the entry was made to try something",
  OTHER: "another reason, told in the text",
} as const;

export const ReasonCode = z.enum(
  Object.keys(REASON_CODES) as [keyof typeof REASON_CODES, ...(keyof typeof REASON_CODES)[]],
);

/** The shortest justification, in characters after trimming. */
export const JUSTIFICATION_MINIMUM = 10;

/** Mandatory for everything but a creation: a code and a text of at least 10 characters. */
export const Justification = z.strictObject({
  code: ReasonCode,
  text: z
    .string()
    .transform((text) => text.normalize("NFC").trim())
    .pipe(
      z
        .string()
        .refine((text) => Array.from(text).length >= JUSTIFICATION_MINIMUM, {
          error: `a justification of at least ${JUSTIFICATION_MINIMUM} characters`,
          params: { code: "justification_required" },
        })
        .refine((text) => text.length <= 2000, "at most 2000 characters"),
    ),
});
export type Justification = z.infer<typeof Justification>;

/** More pieces than any report holds: a typing error of a few digits is caught, a real shift is not. */
const Pieces = z
  .int("a whole number of pieces")
  .min(0, "0 or more pieces")
  .max(10_000_000, "at most 10,000,000 pieces");

/** Pieces rejected for one defect. `pieces` is null where only the occurrence is known. */
const Scrap = z.strictObject({
  defect: plainText(64),
  location: plainText(64).nullable().default(null),
  pieces: Pieces.nullable(),
  occurrences: Pieces.default(1),
});

/**
 * What a production entry says: the payload of `entry.created` and `entry.corrected` (a full snapshot each time).
 * Further optional fields are added with null as their default; none changes its meaning.
 */
export const EntryFields = z
  .strictObject({
    /** Where it was made, which is not always who reports it. */
    machine: Segment,
    lot: plainText(64),
    order: plainText(64).nullable().default(null),
    product: plainText(64).nullable().default(null),
    operation: plainText(64).nullable().default(null),
    good: Pieces.default(0),
    rework: Pieces.default(0),
    /** Held for review: counts neither as good nor as scrap until somebody decides. */
    review: Pieces.default(0),
    scrap: z.array(Scrap).max(64).default([]),
    /**
     * What kind of work the report is about, where it says so, and whether that work was done once more on pieces that
     * had been through it. The pieces are counted as any others.
     */
    report: z
      .strictObject({ type: z.enum(["production", "set-up", "breakdown"]), rework: z.boolean().default(false) })
      .nullable()
      .default(null),
    /** Who or what counted. */
    source: z.enum(["operator", "equipment", "import", "system"]).default("operator"),
  })
  .refine((entry) => new Set(entry.scrap.map((row) => `${row.defect}\n${row.location}`)).size === entry.scrap.length, {
    path: ["scrap"],
    error: "each defect at each location once",
  });
export type EntryFields = z.infer<typeof EntryFields>;
export type EntryInput = z.input<typeof EntryFields>;

/** An entry as the book has it now. */
export const Entry = z.object({
  id: Uuid7,
  /** 1 for the creation; each change adds one. */
  rev: z.int().min(1),
  state: z.enum(["live", "voided"]),
  at: Instant,
  fields: EntryFields,
  /** `late`, `future`: the event time lies outside the tolerance; the entry counts all the same. */
  flags: z.array(z.enum(["late", "future", "unsigned"])),
  receipt: Receipt,
});
export type Entry = z.infer<typeof Entry>;

/** One version of an entry. `who` and `text` are null after an erasure or without the right to read them. */
export const EntryVersion = z.object({
  rev: z.int().min(1),
  type: z.enum(["entry.created", "entry.corrected", "entry.voided"]),
  event: Uuid7,
  seq: Count,
  leaf: Sha256Hex,
  at: Instant,
  recv: Instant,
  actor: z.string(),
  who: z.string().nullable(),
  via: z.string(),
  fields: EntryFields,
  reason: z.object({ code: z.string(), text: z.string().nullable() }).nullable(),
  flags: z.array(z.string()),
});
export type EntryVersion = z.infer<typeof EntryVersion>;

/** Sums over the live entries; `machines` and `orders` count those with at least one live entry. */
export const Totals = z.object({
  good: Count,
  scrap: Count,
  rework: Count,
  review: Count,
  orders: Count,
  machines: Count,
  lots: Count,
  entries: Count,
  voided: Count,
});
export type Totals = z.infer<typeof Totals>;
