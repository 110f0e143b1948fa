import { z } from "zod";
import type { Event } from "../../../lib/contracts/events.ts";
import { BookName, Count } from "../../../lib/contracts/names.ts";
import type { Told } from "./membership.ts";

/**
 * Payload of `book.loss-accepted`: an administrator lets a book go on although somebody has seen more of it. `size` is
 * what it has, `seen` what was seen of it and by whom.
 */
export const LossAccepted = z.strictObject({
  book: BookName,
  size: Count,
  seen: z.array(z.strictObject({ by: z.string(), size: Count })),
});
export type LossAccepted = z.infer<typeof LossAccepted>;

/** By whom how many records were seen that are known to be gone, of one book. */
export type Losses = Record<string, number>;

/** What a record says of accepted losses; null for nothing. */
export function lossIn({ event, via, added }: Told): LossAccepted | null {
  const { type, payload } = event as Event;
  if (type !== "book.loss-accepted" || via.kind !== "internal" || added.result !== "booked") return null;
  return LossAccepted.safeParse(payload).data ?? null;
}

/** The losses of a book after one more was accepted. */
export function foldLoss(before: Losses, { seen }: LossAccepted): Losses {
  const after = { ...before };
  for (const { by, size } of seen) after[by] = Math.max(after[by] ?? 0, size);
  return after;
}
