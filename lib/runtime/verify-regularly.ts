import { schedule } from "node-cron";
import { daily } from "./daily.ts";

/**
 * Has a book verified whole once a day, and what is new in it once an hour; each never twice at once.
 *
 * @param o.at - wall time "HH:MM" in the zone `tz` for the whole book; null for never.
 * @param o.minute - the minute of each hour for what is new; null for never.
 * @param o.verify - must not reject.
 * @returns what stops it.
 */
export function verifyRegularly(o: {
  at: string | null;
  minute: number | null;
  tz: string;
  verify: (why: "nightly" | "hourly") => Promise<void>;
}): () => Promise<void> {
  const stopNights = daily({ at: o.at, tz: o.tz, work: () => o.verify("nightly") });
  const hours =
    o.minute === null
      ? null
      : schedule(`${o.minute} * * * *`, () => o.verify("hourly"), { timezone: o.tz, noOverlap: true });
  return async () => {
    await stopNights();
    await hours?.destroy();
  };
}
