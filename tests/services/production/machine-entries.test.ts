import { describe, expect, it } from "vitest";
import type { Event } from "../../../lib/contracts/events.ts";
import { judgeMachineEvent } from "../../../services/production/machine-entries.ts";
import { fields, machine, machineEvent, MARIA, NAMES, NOW, RUI, uuid } from "./samples.ts";

const arrival = { from: machine("press-01"), recv: new Date(NOW).toISOString(), unsigned: false };
const judge = (event: Partial<Event>, unsigned = false) =>
  judgeMachineEvent(NAMES, machineEvent(event), { ...arrival, unsigned });

describe("an event that a machine vouches for", () => {
  it("is booked for the machine itself", () => {
    expect(judge({})).toEqual({
      result: "booked",
      code: null,
      role: "machine",
      rev: 1,
      before: null,
      after: fields({ good: 10 }),
      flags: [],
    });
  });

  it.each(["station", "offline"] as const)(
    "is booked for a person who signed in by %s, with the profile of now",
    (auth) => {
      expect(judge({ actor: { sub: MARIA, auth } })).toMatchObject({ result: "booked", role: "operator" });
    },
  );

  it("keeps the snapshot that the fields mean, not how they were written", () => {
    const written = { fields: { machine: "press-01", lot: "  L-1 ", good: 2 } };
    expect(judge({ payload: written }).after).toEqual(fields({ lot: "L-1", good: 2 }));
  });

  it.each<[string, Partial<Event>, string]>([
    ["corrects", { type: "entry.corrected" }, "not_allowed"],
    ["voids", { type: "entry.voided", payload: {} }, "not_allowed"],
    ["names another device", { actor: { sub: "press-02", auth: "device" } }, "not_allowed"],
    ["claims a session at the hub", { actor: { sub: MARIA, auth: "session" } }, "not_allowed"],
    ["claims the hub's local key", { actor: { sub: MARIA, auth: "local" } }, "not_allowed"],
    ["claims to be a service", { actor: { sub: "audit", auth: "service" } }, "not_allowed"],
    ["names a person who may not enter", { actor: { sub: RUI, auth: "station" } }, "not_allowed"],
    ["names nobody", { actor: { sub: `p-${"c".repeat(32)}`, auth: "station" } }, "unknown_name"],
    ["names a machine as a person", { actor: { sub: "press-02", auth: "station" } }, "unknown_name"],
    ["is about another entry", { obj: { kind: "entry", key: uuid(2) } }, "schema"],
    ["has no fields", { payload: {} }, "schema"],
    ["counts below zero", { payload: { fields: { machine: "press-01", lot: "L", good: -1 } } }, "schema"],
    [
      "is for a machine that it does not speak for",
      { payload: { fields: fields({ machine: "press-02" }) } },
      "not_spoken_for",
    ],
    ["is for a machine that nobody knows", { payload: { fields: fields({ machine: "press-77" }) } }, "unknown_machine"],
  ])("that %s is refused with its code and changes nothing", (_why, event, code) => {
    expect(judge(event)).toMatchObject({ result: "refused", code, rev: null, before: null, after: null });
  });

  it("says that it was not signed, whether it counts or not", () => {
    expect(judge({}, true).flags).toEqual(["unsigned"]);
    expect(judge({ payload: {} }, true).flags).toEqual(["unsigned"]);
  });
});
