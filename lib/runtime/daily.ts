import { schedule } from "node-cron";

/**
 * Does something once a day, never twice at once.
 *
 * @param o.at - wall time "HH:MM" in the zone `tz`; null for never.
 * @param o.work - must not reject.
 * @returns what stops it.
 */
export function daily(o: { at: string | null; tz: string; work: () => Promise<void> }): () => Promise<void> {
  if (o.at === null) return () => Promise.resolve();
  const [hour, minute] = o.at.split(":").map(Number);
  const task = schedule(`${minute} ${hour} * * *`, o.work, { timezone: o.tz, noOverlap: true });
  return async () => {
    await task.destroy();
  };
}
