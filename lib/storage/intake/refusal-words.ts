import type { RastroError } from "../../contracts/errors.ts";

/** The members of an event; another word in a field's path was chosen by the sender. */
const MEMBERS: ReadonlySet<string> = new Set(
  (
    "event sig v id type at tz clock source offsetMs actor sub auth src name app outbox epoch dseq obj kind key " +
    "reason code text nonce ct payload"
  ).split(" "),
);

/**
 * Why an event was set apart, without a word of what it said: a sentence in a book can never be taken out again, and
 * what a sender wrote into the wrong place may be anybody's name. The event itself is kept beside the book.
 */
export function wordsFor({ problem }: RastroError, from: string): string {
  const { field, expected } = problem;
  if (field === undefined) return `Taking in an event of ${from} failed: ${problem.code}.`;
  const place = field === "(whole)" ? "it" : field.split(".").map(known).join(".");
  return `Taking in an event of ${from} failed: ${place} is not as expected: ${withoutKeys(expected)}.`;
}

function known(member: string): string {
  return MEMBERS.has(member) || /^\d{1,6}$/.test(member) ? member : "?";
}

/** Zod's sentence on members that nobody knows repeats them. */
function withoutKeys(expected = "a value that fits"): string {
  return expected.startsWith("Unrecognized key") ? "no other members than those of an event" : expected;
}
