import { z } from "zod";
import { Instant, Uuid7 } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { EntryFields } from "../../lib/contracts/production.ts";
import type { Breathe } from "../breathe.ts";

/** Most entries of one request. */
export const BATCH_MAXIMUM = 1000;

const Zone = z.string().min(1).max(64).refine(isTimeZone, "an IANA time zone such as America/Sao_Paulo");

/** What a program at the machine hands in. Equipment counts unless it says otherwise; the rest is as people enter it. */
export const EntryRequest = z.strictObject({
  /** Made by whoever counts, so that handing in again saves once; made here when left out. */
  id: Uuid7.optional(),
  /** When it was made; now when left out. */
  at: Instant.optional(),
  tz: Zone.optional(),
  fields: z.preprocess(
    (fields) => (isObject(fields) && !("source" in fields) ? { ...fields, source: "equipment" } : fields),
    EntryFields,
  ),
});
export type EntryRequest = z.infer<typeof EntryRequest>;

const Batch = z.array(z.unknown()).min(1, "at least one entry").max(BATCH_MAXIMUM, `at most ${BATCH_MAXIMUM} entries`);

/** What a program asks about entries that it has handed in. */
export const ReceiptsRequest = z.strictObject({
  ids: z.array(Uuid7).min(1, "at least one id").max(BATCH_MAXIMUM, `at most ${BATCH_MAXIMUM} ids`),
});

/** Entries between two breaths. */
export const SLICE = 16;

/**
 * Reads one entry or an array of them. Fields of an array are named with their place: `3.fields.good`.
 *
 * @throws RastroError `schema` for the first thing that does not fit.
 */
export async function parseEntryRequests(body: unknown, breathe: Breathe): Promise<EntryRequest[]> {
  if (!Array.isArray(body)) return [parseValue(EntryRequest, body, "the entry")];
  const batch = parseValue(Batch, body, "the entries");
  const requests: EntryRequest[] = [];
  for (const [index, value] of batch.entries()) {
    if (index % SLICE === SLICE - 1) await breathe();
    requests.push(parseAt(index, value));
  }
  return requests;
}

function parseAt(index: number, value: unknown): EntryRequest {
  const parsed = EntryRequest.safeParse(value);
  if (parsed.success) return parsed.data;
  // Parsed once more inside an object whose field is named for the place, so that the problem names it too.
  const place = String(index);
  return parseValue(z.object({ [place]: EntryRequest }), { [place]: value }, "the entries")[place] as EntryRequest;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTimeZone(text: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: text }));
  } catch {
    return false;
  }
}
