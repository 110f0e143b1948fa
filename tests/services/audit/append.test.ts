import { describe, expect, it } from "vitest";
import { EVENT_OWNERS, type Event, type EventType } from "../../../lib/contracts/events.ts";
import { judgeTelling } from "../../../services/audit/append.ts";
import { mayTell } from "../../../services/audit/tellers.ts";
import { principal } from "../../support/principals.ts";

const MARIA = `p-${"a".repeat(32)}`;
const AUDIT_TYPES = (Object.keys(EVENT_OWNERS) as EventType[]).filter((type) => EVENT_OWNERS[type] === "audit");

function event(type: EventType, given: Partial<Event> = {}): Event {
  return {
    v: 1,
    id: "01938000-0000-7000-8000-000000000001",
    type,
    at: "2026-11-24T12:00:00.000Z",
    tz: "UTC",
    clock: { source: "ntp", offsetMs: 0 },
    actor: { sub: "press-01", auth: "device" },
    src: { name: "press-01", app: "edge-agent@test", outbox: { epoch: "0123456789abcdef", dseq: 1 } },
    obj: { kind: "machine", key: "press-01" },
    reason: null,
    payload: {},
    ...given,
  };
}

const tellable = (name: string, profile: "machine" | "service", given: Partial<Event> = {}) =>
  AUDIT_TYPES.filter((type) => mayTell(principal(name, profile), event(type, given)));

describe("who may tell audit of what", () => {
  it("a machine: its own start, and who signed in at its station", () => {
    expect(tellable("press-01", "machine")).toEqual([
      "session.started",
      "session.ended",
      "session.refused",
      "agent.started",
      "command.executed",
      "command.refused",
      "witness.offered",
    ]);
  });

  it("a machine only in its own name or that of somebody at its station", () => {
    const at = (actor: Event["actor"]) => tellable("press-01", "machine", { actor }).length;
    expect(at({ sub: "press-02", auth: "device" })).toBe(0);
    expect(at({ sub: MARIA, auth: "session" })).toBe(0);
    expect(at({ sub: MARIA, auth: "station" })).toBe(7);
    expect(at({ sub: MARIA, auth: "offline" })).toBe(7);
  });

  it.each([
    [
      "production",
      [
        "record.booked",
        "request.refused",
        "message.refused",
        "book.verified",
        "log-key.rotated",
        "log-key.retired",
        "record.rebooked",
        "backup.made",
        "book.exported",
      ],
    ],
    [
      "fleet",
      [
        "request.refused",
        "message.refused",
        "machine.online",
        "machine.offline",
        "machine.duplicated",
        "machine.duplicate-ended",
        "command.proposed",
        "command.approved",
        "command.issued",
        "command.sent",
        "command.acknowledged",
        "command.running",
        "command.finished",
        "command.cancelled",
        "rollout.proposed",
        "rollout.approved",
        "rollout.begun",
        "rollout.wave-begun",
        "rollout.ended",
        "rollout.cancelled",
        "backup.made",
        "store.restored",
      ],
    ],
    ["console", ["request.refused", "message.refused"]],
    [
      "directory",
      [
        "request.refused",
        "message.refused",
        "user.added",
        "user.password-set",
        "user.locked",
        "user.unlocked",
        "user.profile-set",
        "person.erased",
        "person.shown",
        "machine.added",
        "machine.revoked",
        "machine.readmitted",
        "machine.speaks-for-set",
        "service.added",
        "service.revoked",
        "certificate.issued",
        "session.started",
        "session.ended",
        "session.refused",
        "backup.made",
        "store.restored",
      ],
    ],
  ])("the service %s: what it knows at first hand", (name, types) => {
    expect(tellable(name, "service")).toEqual(types);
  });
});

describe("what the book adds", () => {
  const roleOf = (sub: string) => (sub === MARIA ? "coordinator" : null);

  it("books what the sender may tell, with the actor's profile", () => {
    const told = event("user.added", { actor: { sub: MARIA, auth: "session" } });
    expect(judgeTelling(roleOf, told, { from: principal("directory", "service"), unsigned: false })).toEqual({
      result: "booked",
      code: null,
      role: "coordinator",
      rev: null,
      before: null,
      after: null,
      flags: [],
    });
  });

  it("takes the role of a booked record from the book that booked it", () => {
    const told = event("record.booked", { actor: { sub: MARIA, auth: "session" }, payload: { role: "supervisor" } });
    expect(judgeTelling(roleOf, told, { from: principal("production", "service"), unsigned: false }).role).toBe(
      "supervisor",
    );
  });

  it("keeps an attempt to tell what is not the sender's, and that it was not signed", () => {
    const told = event("user.added");
    expect(judgeTelling(roleOf, told, { from: principal("press-01", "machine"), unsigned: true })).toMatchObject({
      result: "refused",
      code: "not_allowed",
      flags: ["unsigned"],
    });
  });
});
