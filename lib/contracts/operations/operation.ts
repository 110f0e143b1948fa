import { z } from "zod";
import type { PersonProfile, ServiceName } from "../directory.ts";
import { Count, Uuid7 } from "../names.ts";

/** Who makes entries, and changes their own. */
export const WRITERS = ["operator", "supervisor", "coordinator", "administrator"] as const;
/** Who changes what others have entered, and commands machines. */
export const CORRECTORS = ["supervisor", "coordinator", "administrator"] as const;
/** Everybody who may look. */
export const READERS = [...WRITERS, "analyst"] as const;
/** Who looks into the books. */
export const AUDITORS = ["coordinator", "analyst", "administrator"] as const;

/** What a request for a page of a list has beside its own fields. */
export const PAGE = { limit: z.int().min(1).max(500).default(50), after: z.string().max(128).nullable().default(null) };

/** Asks for what has this id. */
export const ById = z.strictObject({ id: Uuid7 });
/** Asks for a record by its number in the book, or by the id of its event. */
export const BySeqOrId = z.union([z.strictObject({ seq: Count }), ById]);

/** An operation: who may, what goes in, what comes out. */
export type Operation = {
  profiles: readonly PersonProfile[];
  /** Services that may ask as well. */
  services?: readonly ServiceName[];
  request: z.ZodType;
  response: z.ZodType;
  /** Changes nothing and its answers are large and many: they are not kept for duplicates of the request. */
  repeatable?: true;
};
