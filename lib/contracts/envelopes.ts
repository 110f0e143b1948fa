import { z } from "zod";
import { Problem } from "./errors.ts";
import { Count, Instant } from "./names.ts";

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
