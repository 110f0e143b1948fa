import { z } from "zod";
import { LOCAL_ADMIN, type Principal, Profile, SessionRow } from "./directory.ts";
import { BookName, Count, Instant, PersonId, plainText, Segment, Uuid7 } from "./names.ts";

/**
 * On what ground a person is erased. The articles are those of the LGPD (Brazil, law 13.709 of 2018): art. 15 says when
 * processing ends, art. 16 that the data are then deleted, art. 18 what the person may ask for.
 */
export const ERASURE_GROUNDS = {
  SUBJECT_REQUEST: "the person asked for it (art. 18, IV and VI)",
  CONSENT_WITHDRAWN: "the person took the consent back (art. 8, § 5; art. 15, III)",
  PURPOSE_ENDED: "what the data were kept for is over, as an employment (art. 15, I; art. 16)",
  PERIOD_ENDED: "the time for which they were to be kept is over (art. 15, II; art. 16)",
  AUTHORITY_ORDER: "the authority ordered it (art. 15, IV)",
  NEVER_NEEDED: "they were never needed, or entered by mistake (art. 18, IV)",
} as const;

export const ErasureGround = z.enum(
  Object.keys(ERASURE_GROUNDS) as [keyof typeof ERASURE_GROUNDS, ...(keyof typeof ERASURE_GROUNDS)[]],
);
export type ErasureGround = z.infer<typeof ErasureGround>;

/** `POST /directory/people/<name or id>/erase`. The text is sealed under the key of whoever erases. */
export const EraseRequest = z.strictObject({ ground: ErasureGround, text: plainText(2000) });
/** `erasure`: id by which records and the list of erasures name it. */
export const Erased = z.object({ sub: PersonId, erasure: Uuid7, at: Instant });

/**
 * `GET /directory/people/<name or id>/data`: everything that the directory holds on a person. Of an erased one nothing is
 * left but the random id, and that it is erased.
 */
export const PersonData = z.object({
  sub: z.union([PersonId, z.literal(LOCAL_ADMIN)]),
  name: Segment.nullable(),
  profile: Profile,
  fullName: z.string().nullable(),
  badge: z.string().nullable(),
  active: z.boolean(),
  registeredAt: Instant,
  erasedAt: Instant.nullable(),
  /** Whether there is a password, of which only a hash is kept. */
  password: z.boolean(),
  sessions: z.array(SessionRow),
});
export type PersonData = z.infer<typeof PersonData>;

/** Who may read in records what people are called and from where they signed in; the text of a reason every auditor may. */
export const PERSONAL_READERS: readonly Profile[] = ["administrator"];

/** What is sealed in a record's payload, opened, by field: empty for who may not read it, null once the person was erased. */
export const PersonalFields = z.record(z.string(), z.string().nullable());

/** Records of one kind that know a person, as the one who acted, as what it is about, or named in some other place. */
const PersonRecordsRow = z.object({
  type: z.string(),
  as: z.enum(["actor", "object", "named"]),
  count: Count,
  first: z.object({ seq: Count, at: Instant }),
  last: z.object({ seq: Count, at: Instant }),
  /** Fields that are sealed under this person's key: nobody reads them once the key is destroyed. */
  sealed: z.array(z.string()),
});

/** What one book has of a person; `size` is how many records were looked through. */
export const PersonRecords = z.object({ book: BookName, size: Count, records: z.array(PersonRecordsRow) });
export type PersonRecords = z.infer<typeof PersonRecords>;

/** Whether a person was erased: the random id is what is left, and stands in the place of the name. */
export function isErased({ kind, name, sub }: Pick<Principal, "kind" | "name" | "sub">): boolean {
  return kind === "person" && name === sub && name !== LOCAL_ADMIN;
}
