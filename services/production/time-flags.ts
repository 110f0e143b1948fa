import type { Entry } from "../../lib/contracts/production.ts";

/** How old an entry may be when it arrives before it is called late, ms. */
export const LATE_AFTER = 24 * 60 * 60 * 1000;
/** How far ahead of this service's clock a time may lie before it is called future, ms. */
export const FUTURE_AFTER = 2 * 60 * 1000;

/** What is odd about an entry. None of it is a reason to refuse: the pieces were made, whatever the clock says. */
export function entryFlags(o: { at: string; recv: string; unsigned: boolean }): Entry["flags"] {
  const flags: Entry["flags"] = [];
  const age = Date.parse(o.recv) - Date.parse(o.at);
  if (age > LATE_AFTER) flags.push("late");
  if (age < -FUTURE_AFTER) flags.push("future");
  if (o.unsigned) flags.push("unsigned");
  return flags;
}
