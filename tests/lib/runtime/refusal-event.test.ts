import { describe, expect, it } from "vitest";
import type { Principal } from "../../../lib/contracts/directory.ts";
import { EVENT_OWNERS, type EventDraft } from "../../../lib/contracts/events.ts";
import { recordRefusals, refusalEvent, refusalOf } from "../../../lib/runtime/refusal-event.ts";
import { principal } from "../../support/principals.ts";

const NOW = Date.parse("2026-11-24T12:00:00.000Z");
const KNOWN: Principal[] = [
  principal("maria", "operator"),
  principal("press-01", "machine"),
  principal("local-admin", "administrator", { sub: "local-admin" }),
];
const byName = (name: string) => KNOWN.find((one) => one.name === name);
const bySub = (sub: string) => KNOWN.find((one) => one.sub === sub);

function eventOf(topic: string, from: string) {
  const refusal = refusalOf(byName, { topic, from, code: "schema" });
  const report = { ...refusal, count: 3, from: NOW - 60_000, to: NOW };
  return refusalEvent({ report, principalOf: bySub, service: "production", id: "id", now: NOW, tz: "UTC" });
}

describe("what audit is told of refusals", () => {
  it("names a person by the random id and never by the login", () => {
    const event = eventOf("requests/maria/s-1/production/entry-add/r-1", "maria");
    expect(event).toMatchObject({
      type: "request.refused",
      actor: { sub: byName("maria")?.sub, auth: "session" },
      obj: { kind: "operation", key: "requests/production/entry-add" },
      payload: {
        by: "production",
        code: "schema",
        count: 3,
        first: "2026-11-24T11:59:00.000Z",
        last: "2026-11-24T12:00:00.000Z",
      },
    });
    expect(JSON.stringify(event)).not.toContain('maria"');
  });

  it("names the topic of a machine", () => {
    expect(eventOf("machines/press-01/events/production", "press-01")).toMatchObject({
      type: "message.refused",
      actor: { sub: "press-01", auth: "device" },
      obj: { kind: "topic", key: "machines/press-01/events/production" },
    });
  });

  it("knows the holder of the local key, and stands in for whom nobody knows", () => {
    expect(eventOf("requests/local-admin/s-1/production/entry-add/r-1", "local-admin").actor).toEqual({
      sub: "local-admin",
      auth: "local",
    });
    expect(eventOf("machines/ghost/events/production", "ghost").actor).toEqual({ sub: "production", auth: "service" });
  });

  it("is of kinds that the audit book owns", () => {
    expect([EVENT_OWNERS["request.refused"], EVENT_OWNERS["message.refused"]]).toEqual(["audit", "audit"]);
  });
});

describe("recording refusals", () => {
  it("tells of the first at once, of the rest when it closes, and waits until all is told", async () => {
    const told: EventDraft[] = [];
    const faults: unknown[] = [];
    const refusals = recordRefusals({
      names: { byName, bySub },
      service: { name: "production", tz: "UTC", now: () => NOW },
      newId: () => "id",
      tell: async (event) => {
        await Promise.resolve();
        if (told.push(event) === 2) throw new Error("the disk is full");
      },
      onFault: (error) => faults.push(error),
    });
    const refused = { topic: "machines/press-01/events/production", from: "press-01", code: "malformed" as const };
    for (let time = 0; time < 3; time++) refusals.onRefused(refused);
    await refusals.close();
    expect(told.map((event) => event.payload["count"])).toEqual([1, 2]);
    expect(faults).toEqual([new Error("the disk is full")]);
  });
});
