import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Presence } from "../../lib/contracts/machine.ts";

/** What audit is told when a machine comes or goes; `why` is `cleared` when its retained presence was removed. */
export type PresenceChange = { type: "machine.online" | "machine.offline"; why: string };

/**
 * Whether a presence tells something new: the machine came, went, or came again on another connection (the going in
 * between was never seen). A repetition, such as the retained message after each subscription, is nothing new.
 */
export function changeBetween(before: Presence | undefined, after: Presence | null): PresenceChange | null {
  const was = before?.online ?? false;
  const is = after?.online ?? false;
  if (is && after !== null && (!was || before?.connection !== after.connection)) {
    return { type: "machine.online", why: after.why };
  }
  return was && !is ? { type: "machine.offline", why: after?.why ?? "cleared" } : null;
}

/** What the fleet says of its own accord. */
const CONCLUDED: ReadonlySet<string> = new Set(["hub-restart", "revoked", "no-connection", "silent", "heard"]);

/**
 * The event of a change. The machine itself is the actor of what its birth, its farewell or its will says; the fleet
 * is the actor of what it concluded on its own.
 */
export function presenceEvent(o: {
  id: string;
  now: string;
  tz: string;
  machine: string;
  change: PresenceChange;
  presence: Presence | null;
}): EventDraft {
  const concluded = CONCLUDED.has(o.change.why);
  const { since = null, connection = null, boot = null, app = null, key = null } = o.presence ?? {};
  return {
    id: o.id,
    type: o.change.type,
    at: o.now,
    tz: o.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: concluded ? { sub: "fleet", auth: "service" } : { sub: o.machine, auth: "device" },
    obj: { kind: "machine", key: o.machine },
    reason: null,
    payload: { why: o.change.why, since, connection, boot, app, key },
  };
}
