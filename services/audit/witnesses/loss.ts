import { z } from "zod";
import type { Event } from "../../../lib/contracts/events.ts";
import { Loss, lossOf } from "../../../lib/contracts/loss.ts";
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

const PRODUCTION = "production";
/** Who had seen what an older copy lacks that was put in a book's place on purpose. */
const WHOEVER_RESTORED = "whoever put an older copy in its place";

/**
 * What a record says of accepted losses, by itself or with the restore that it tells of: who said on purpose that a copy
 * is older is not asked once more. Null for nothing.
 */
export function lossIn({ event, via, added }: Told): LossAccepted | null {
  if (added.result !== "booked") return null;
  const { type, payload } = event as Event;
  if (via.kind === "internal") {
    if (type === "book.loss-accepted") return LossAccepted.safeParse(payload).data ?? null;
    return withRestore("audit", lossOf(event as Event));
  }
  const tellsOfRecord = type === "record.booked" || type === "record.rebooked";
  // A book's own record of it, and no sender's of the same kind.
  if (!tellsOfRecord || via.name !== PRODUCTION || payload["origin"] !== PRODUCTION) return null;
  return payload["result"] === "booked" ? withRestore(PRODUCTION, Loss.safeParse(payload["loss"]).data ?? null) : null;
}

function withRestore(book: BookName, loss: Loss | null): LossAccepted | null {
  return loss === null ? null : { book, size: loss.has, seen: [{ by: WHOEVER_RESTORED, size: loss.had }] };
}

/** The losses of a book after one more was accepted. */
export function foldLoss(before: Losses, { seen }: LossAccepted): Losses {
  const after = { ...before };
  for (const { by, size } of seen) after[by] = Math.max(after[by] ?? 0, size);
  return after;
}
