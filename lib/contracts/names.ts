import { z } from "zod";

/**
 * One segment of a topic that we make: user names, machine ids, service and operation names, session and
 * request ids. No dots, so that the names carry over to brokers that treat a dot as a separator.
 */
export const Segment = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'");

/** A UUID version 7 (RFC 9562 §5.7), lower case. Made where the event happens; its time part is in ms. */
export const Uuid7 = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, "a lower-case UUID version 7");

/** An instant: RFC 3339, UTC, exactly three decimals of a second, as `Date.prototype.toISOString` writes it. */
export const Instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "an instant such as 2026-11-24T05:44:05.000Z")
  .refine((text) => !Number.isNaN(Date.parse(text)), "a date that exists");

/** SHA-256 in lower-case hexadecimal. */
export const Sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");

/** Standard base64 with padding (RFC 4648 §4). */
export const Base64 = z.string().refine(isBase64, "base64");

/** A regular expression takes fifteen times as long, which whoever reads a whole book pays for each record. */
function isBase64(text: string): boolean {
  if (text.length % 4 !== 0) return false;
  const padding = text.endsWith("==") ? 2 : Number(text.endsWith("="));
  try {
    // It passes over white space, which the length tells.
    return atob(text).length === (text.length / 4) * 3 - padding;
  } catch {
    return false;
  }
}

/** A count of pieces, a sequence number: a whole number from 0 that every language holds exactly. */
export const Count = z.int().min(0);

/** A person in a record: random, says nothing about who it is. The name is in the directory, under the person's key. */
export const PersonId = z.string().regex(/^p-[0-9a-f]{32}$/, "a person's id, 'p-' and 32 hexadecimal digits");

/** The books of a plant. Each is one chain, kept by the service of the same name. */
export const BookName = z.enum(["production", "audit"]);
export type BookName = z.infer<typeof BookName>;

/**
 * Text that a person wrote on the floor: lot codes, order codes, defect names. Normalised to NFC and trimmed;
 * no control characters, so that nothing written here can steer a terminal, a CSV or a page.
 */
export function plainText(maximum: number) {
  return z
    .string()
    .transform((text) => text.normalize("NFC").trim())
    .pipe(
      z
        .string()
        .min(1, "at least one character")
        .max(maximum, `at most ${maximum} characters`)
        // oxlint-disable-next-line no-control-regex -- control characters are what this refuses
        .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/u, "no control characters"),
    );
}
