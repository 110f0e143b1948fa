import { z } from "zod";
import { Profile } from "./directory.ts";
import { Receipt } from "./events.ts";
import { Instant, plainText, Segment, Uuid7 } from "./names.ts";
import { EntryFields, Justification } from "./production.ts";

/*
 * What the operator's form and the agent on the same PC say to each other over HTTP (edge-agent/station/README.md). None
 * of it crosses a topic but as the events and requests that it leads to.
 */

/** `POST /station/session`. */
export const StationSignIn = z.strictObject({ user: Segment, password: z.string().min(1, "a password").max(256) });
export type StationSignIn = z.infer<typeof StationSignIn>;

/** How a person was known at a station: with the hub in reach, or without it by what is kept there. */
export const StationAuth = z.enum(["station", "offline"]);
export type StationAuth = z.infer<typeof StationAuth>;

/** Who is signed in at a station. */
export const StationSession = z.object({
  user: Segment,
  profile: Profile,
  auth: StationAuth,
  since: Instant,
  /** When it ends unless it is used before. */
  until: Instant,
});
export type StationSession = z.infer<typeof StationSession>;

/**
 * `POST /station/entries`: one entry of the person who is signed in, made on this machine unless it names another.
 *
 * @param machine - the station's own.
 */
export function stationEntry(machine: string) {
  return z.strictObject({
    /** Made by the form, so that sending it again saves once. */
    id: Uuid7,
    /** When it was made; now when left out. */
    at: Instant.optional(),
    /** The refused entry in whose place this one is. */
    mends: Uuid7.optional(),
    fields: z.preprocess(
      (fields) => (isObject(fields) ? { machine, ...fields } : fields),
      EntryFields.refine(({ source }) => source === "operator", {
        path: ["source"],
        error: "operator: what people enter at a station",
      }),
    ),
  });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An entry that was made at this station. */
export const StationEntry = z.object({
  id: Uuid7,
  at: Instant,
  fields: EntryFields,
  /** Whether whoever asks has made it. */
  mine: z.boolean(),
  auth: StationAuth,
  /** `waiting` until there is a receipt. Null where that was put away after its time. */
  status: z.union([z.literal("waiting"), Receipt]).nullable(),
  mends: Uuid7.nullable(),
  /** The entry that was made in place of this one, once it had been refused. */
  mendedBy: Uuid7.nullable(),
});
export type StationEntry = z.infer<typeof StationEntry>;

/** `GET /station/entries`: newest first; `next` is the `after` of the page that follows. */
export const StationEntriesQuery = z.strictObject({
  show: z.enum(["all", "waiting", "refused"]).default("all"),
  after: Uuid7.optional(),
});
export const StationEntries = z.object({ entries: z.array(StationEntry), next: Uuid7.nullable() });
export type StationEntries = z.infer<typeof StationEntries>;

/** `POST /station/book/entries/<id>/corrections`: the body of the production service's `entry-correct`, less the id. */
export const StationCorrection = z.strictObject({
  event: Uuid7,
  rev: z.int().min(1),
  at: Instant.nullable().default(null),
  fields: EntryFields,
  reason: Justification,
});
/** `POST /station/book/entries/<id>/void`. */
export const StationVoid = z.strictObject({ event: Uuid7, rev: z.int().min(1), reason: Justification });

const Words = z.array(plainText(64));

/** What was used last, the newest first. */
export const Choices = z.object({
  lots: Words,
  orders: Words,
  products: Words,
  operations: Words,
  defects: Words,
  locations: Words,
});
export type Choices = z.infer<typeof Choices>;

/** `GET /station/form`: what a form offers. All of it is there without the hub too. */
export const StationForm = z.object({
  machine: Segment,
  /** Zone in which times are shown. */
  tz: z.string(),
  /** Why an entry may be changed, and the shortest text beside the code. */
  reasons: z.array(z.object({ code: z.string(), meaning: z.string() })),
  justificationMinimum: z.int(),
  choices: Choices,
  /** When the book was last asked for them; null for not since the agent started. */
  choicesAsOf: Instant.nullable(),
});
export type StationForm = z.infer<typeof StationForm>;
