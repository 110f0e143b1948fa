import type { Principal } from "../../lib/contracts/directory.ts";
import type { EVENT_OWNERS, Event, EventType } from "../../lib/contracts/events.ts";

type AuditEventType = { [T in EventType]: (typeof EVENT_OWNERS)[T] extends "audit" ? T : never }[EventType];
type Teller = (from: Principal) => boolean;

const service =
  (...names: string[]): Teller =>
  (from) =>
    from.kind === "service" && names.includes(from.name);
const anyService: Teller = (from) => from.kind === "service";
const machine: Teller = (from) => from.kind === "machine";
/** The directory runs inside the hub's process unless the plant has a broker of its own. */
const directory = service("directory", "broker");
const hub = service("broker");
/** What it finds out or is asked for it books itself, and nobody may tell it. */
const audit = service("audit");
const either =
  (...tellers: Teller[]): Teller =>
  (from) =>
    tellers.some((teller) => teller(from));

/**
 * Who knows of each kind of happening at first hand. A signature says who sent an event, not that the sender had any
 * business to say it: without this a machine could put "user added" into the book.
 */
const TELLERS: Readonly<Record<AuditEventType, Teller>> = {
  "record.booked": service("production"),
  "request.refused": anyService,
  "message.refused": anyService,
  "user.added": directory,
  "user.password-set": directory,
  "user.locked": directory,
  "user.unlocked": directory,
  "user.profile-set": directory,
  "person.erased": directory,
  "person.shown": directory,
  "machine.added": directory,
  "machine.revoked": directory,
  "machine.readmitted": directory,
  "machine.speaks-for-set": directory,
  "service.added": directory,
  "service.revoked": directory,
  "certificate.issued": directory,
  "session.started": either(directory, machine),
  "session.ended": either(directory, machine),
  "session.refused": either(directory, machine),
  "connection.admitted": hub,
  "connection.refused": hub,
  "connection.taken-over": hub,
  "connection.ended": hub,
  "packet.refused": hub,
  "queue.dropped": hub,
  "queue.ended": hub,
  "machine.online": service("fleet"),
  "machine.offline": service("fleet"),
  "machine.duplicated": service("fleet"),
  "machine.duplicate-ended": service("fleet"),
  "agent.started": machine,
  "command.proposed": service("fleet"),
  "command.approved": service("fleet"),
  "command.issued": service("fleet"),
  "command.sent": service("fleet"),
  "command.acknowledged": service("fleet"),
  "command.running": service("fleet"),
  "command.finished": service("fleet"),
  "command.cancelled": service("fleet"),
  "command.executed": machine,
  "command.refused": machine,
  "rollout.proposed": service("fleet"),
  "rollout.approved": service("fleet"),
  "rollout.begun": service("fleet"),
  "rollout.wave-begun": service("fleet"),
  "rollout.ended": service("fleet"),
  "rollout.cancelled": service("fleet"),
  "witness.offered": machine,
  "witness.admitted": audit,
  "witness.removed": audit,
  "witness.refused": audit,
  "witness.refusal-ended": audit,
  "witness.unproven": audit,
  "witness.unproven-ended": audit,
  "witness.conflict": audit,
  "witness.conflict-ended": audit,
  "witness.quorum-degraded": audit,
  "witness.quorum-restored": audit,
  "witness.log-behind": audit,
  "witness.log-caught-up": audit,
  "book.loss-accepted": audit,
  "book.verified": service("production", "audit"),
  "log-key.rotated": service("production", "audit"),
  "log-key.retired": service("production", "audit"),
  "checkpoint.anchored": service("audit"),
  "record.rebooked": service("production"),
  "backup.made": either(directory, service("production", "audit", "fleet")),
  "store.restored": either(directory, service("fleet")),
  "book.exported": service("production", "audit"),
};

/** Whether this sender may tell the book of this, in the name of this actor. */
export function mayTell(from: Principal, event: Event): boolean {
  const teller: Teller | undefined = (TELLERS as Readonly<Record<string, Teller>>)[event.type];
  return teller !== undefined && teller(from) && (from.kind === "service" || speaksAsItself(from, event));
}

/** A machine vouches for itself and for whoever signed in at its station; never for a session at the hub. */
function speaksAsItself(from: Principal, { actor }: Event): boolean {
  return actor.auth === "device" ? actor.sub === from.name : actor.auth === "station" || actor.auth === "offline";
}
