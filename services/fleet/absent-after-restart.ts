import type { Presence } from "../../lib/contracts/machine.ts";
import type { Contradiction } from "./contradiction.ts";
import type { HubView } from "./hub-view.ts";
import type { Register } from "./register.ts";
import type { SignsOfLife } from "./signs-of-life.ts";

/** How long machines have to show up after the fleet's own connection came up, ms (decision 28). */
export const GRACE = 5000;

/**
 * The machines that the register calls online, but with which the hub has no connection: a hub that was killed delivers
 * no wills, so nothing else would ever say that they are gone. Where the broker does not tell of its connections, those
 * that nobody has heard since `since`. A live summary counts like a birth: when only the fleet itself was away, the
 * machines are there and have no reason to give birth again.
 */
export function absentSince(o: {
  register: Pick<Register, "online">;
  signs: Pick<SignsOfLife, "heardSince">;
  hub: Pick<HubView, "of">;
  since: number;
}): string[] {
  return o.register.online().filter((machine) => {
    const seen = o.hub.of(machine);
    return seen === null ? !o.signs.heardSince(machine, o.since) : seen.state === "none";
  });
}

export type Concluded = "hub-restart" | "revoked" | Contradiction;

/** What the fleet publishes, retained, in the place of a machine that cannot say it itself. A later birth replaces it. */
export function concluded(last: Presence, why: Concluded, now: number): Presence {
  return { ...last, online: why === "heard", since: new Date(now).toISOString(), why };
}
