import type { Presence } from "../../lib/contracts/machine.ts";
import type { SeenByHub } from "./hub-view.ts";

/**
 * How long a machine may be called online though the hub has no connection with it, ms. A birth may overtake what the
 * hub says of the connection over which it came, and a will comes by itself a moment after the connection went.
 */
export const CONNECTED_WITHIN = 1000;

export type Contradiction = "no-connection" | "silent" | "heard";

/**
 * What the hub's own eyes say against the last word about a machine; null when the two agree, `wait` when they may
 * still come to. A will alone is not trusted: it is missing where the client gave none, and comes half a minute late
 * where a computer lost its power.
 *
 * @param o.reports - whether the machine sends a summary each second, so that silence says something.
 * @param o.heardAt - when the machine itself was last heard, ms since 1970; null for never since the hub is in reach.
 */
export function contradictionOf(o: {
  presence: Presence;
  seen: SeenByHub | null;
  reports: boolean;
  heardAt: number | null;
  now: number;
}): Contradiction | "wait" | null {
  const { presence, seen } = o;
  if (seen === null) return null;
  if (!presence.online) return presence.why === "silent" && seen.state === "connected" ? "heard" : null;
  if (seen.state === "quiet") return o.reports ? "silent" : null;
  if (seen.state === "connected") return null;
  // Neither the hub nor anybody here has met it yet: it has the five seconds that it gets after a restart.
  if (!seen.named && o.heardAt === null) return null;
  return o.now - Math.max(seen.since, o.heardAt ?? 0) >= CONNECTED_WITHIN ? "no-connection" : "wait";
}
