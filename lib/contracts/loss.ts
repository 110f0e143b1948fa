import { z } from "zod";
import type { Event } from "./events.ts";
import { Count } from "./names.ts";

/** How many records a book is known to have had, and has since an older copy was put in its place on purpose. */
export const Loss = z.strictObject({ had: Count, has: Count });
export type Loss = z.infer<typeof Loss>;

const Restored = z.object({
  older: z.literal(true),
  from: z.object({ size: Count }),
  to: z.object({ size: Count }),
});
const Promoted = z.object({ older: z.literal(true), known: Count, size: Count });

/**
 * What was lost with the restore or promotion that a book's own record tells of; null for any other record, and for a
 * copy that had everything that was known.
 */
export function lossOf({ type, payload }: Pick<Event, "type" | "payload">): Loss | null {
  if (type === "book.restored") {
    const { data } = Restored.safeParse(payload);
    return data === undefined ? null : { had: data.from.size, has: data.to.size };
  }
  if (type === "book.promoted") {
    const { data } = Promoted.safeParse(payload);
    return data === undefined ? null : { had: data.known, has: data.size };
  }
  return null;
}
