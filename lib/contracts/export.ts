import { z } from "zod";
import { BookName, Count, Instant, PersonId, plainText, Segment, Sha256Hex, Uuid7 } from "./names.ts";

/*
 * Taking a book, or what fits a filter, out of the plant: asked for once, put on record once, then handed out in pages.
 */

const optional = <S extends z.ZodType>(schema: S) => schema.nullable().default(null);

/** What to export; everything that is given has to fit. Nothing given: all. */
export const ExportFilter = z.strictObject({
  /** Record numbers; `toSeq` is the first that is not wanted any more. */
  fromSeq: optional(Count),
  toSeq: optional(Count),
  /** When it happened, by the origin's clock; `to` is the first instant that is not wanted any more. */
  from: optional(Instant),
  to: optional(Instant),
  /** Where it was made, who reported it, or whom it is about. */
  machine: optional(Segment),
  /** A login or a person's id: who did it, or whom it is about. */
  person: optional(z.union([PersonId, Segment])),
  lot: optional(plainText(64)),
  /** Of the event, or of the event that a record of the audit book tells of: `entry.corrected`. */
  type: optional(z.string().min(1).max(64)),
  /** Of the object that it is about: `entry`, `machine`, `session`. */
  kind: optional(Segment),
});
export type ExportFilter = z.infer<typeof ExportFilter>;

export const ExportRequest = z.strictObject({
  filter: ExportFilter,
  format: z.enum(["jsonl", "csv"]),
  /** Whether names and the texts of reasons are wanted beside the records; that is put on record too. */
  names: z.boolean().default(false),
});
export type ExportRequest = z.infer<typeof ExportRequest>;

/** An export that can be fetched from now on. */
export const ExportBegun = z.object({
  /** Pages are asked for by it, and it is the id of the event that is on record. */
  id: Uuid7,
  book: BookName,
  origin: z.string(),
  /** Records and root of the book that the export proves to be part of. */
  size: Count,
  root: Sha256Hex,
  /** The signed note of this size and root with its cosignatures; null while the book has none. */
  checkpoint: z.string().nullable(),
  /** The filter as the header of the file has it: only what was given, a person by their id. */
  filter: z.record(z.string(), z.union([z.string(), z.int()])),
  madeAt: Instant,
  /** How many records fit the filter. */
  count: Count,
  /** False where the plant's book takes no records any more, and so not this export either. */
  onRecord: z.boolean(),
});
export type ExportBegun = z.infer<typeof ExportBegun>;

/** Records that are not handed out, `from` to `to` - 1, with the roots of the perfect subtrees over them. */
const ExportGap = z.object({
  gap: z.enum(["omitted", "unreadable"]),
  from: Count,
  to: Count,
  hashes: z.array(Sha256Hex),
});

/** One record: its stored bytes as text, and who and why in words, where they were asked for and can be read. */
const ExportedRecord = z.object({
  seq: Count,
  record: z.string(),
  who: z.string().nullable(),
  text: z.string().nullable(),
});

/** What follows a number, in order and without a hole; `next` is the number to go on with, the size at the end. */
export const ExportPage = z.object({ items: z.array(z.union([ExportedRecord, ExportGap])), next: Count });
export type ExportPage = z.infer<typeof ExportPage>;
export type ExportItem = ExportPage["items"][number];
