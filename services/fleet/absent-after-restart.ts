import type { Presence } from "../../lib/contracts/machine.ts";
import type { Register } from "./register.ts";
import type { SignsOfLife } from "./signs-of-life.ts";

/** How long machines have to show up after the fleet's own connection came up, ms (decision 28). */
export const GRACE = 5000;

/**
 * The machines that the register calls online, but that nobody has heard since `since`: a hub that was killed
 * delivers no wills, so nothing else would ever say that they are gone. A live summary counts like a birth: when only
 * the fleet itself was away, the machines are there and have no reason to give birth again.
 */
export function absentSince(o: { register: Register; signs: SignsOfLife; since: number }): string[] {
  return o.register.online().filter((machine) => !o.signs.heardSince(machine, o.since));
}

/** What the fleet publishes, retained, in the place of a machine that cannot say it itself. A later birth replaces it. */
export function concludedOffline(last: Presence, why: "hub-restart" | "revoked", now: number): Presence {
  return { ...last, online: false, since: new Date(now).toISOString(), why };
}
