import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PROFILES } from "../../../lib/contracts/directory.ts";
import { filterCovers, mayPublish, mayReceive, maySubscribe, ruleFor } from "../../../lib/contracts/permissions.ts";
import { topicMatches } from "../../../lib/contracts/topics.ts";

const people = ["operator", "supervisor", "coordinator", "analyst", "administrator"] as const;

describe("who may publish what", () => {
  it.each(people)("a person (%s) publishes requests under the own name and nothing else", (profile) => {
    const rule = ruleFor(profile, "maria");
    expect(mayPublish(rule, "requests/maria/s1/production/entry-add/r1")).toBe(true);
    expect(mayPublish(rule, "requests/pedro/s1/production/entry-add/r1")).toBe(false);
    expect(mayPublish(rule, "machines/maria/status")).toBe(false);
    expect(mayPublish(rule, "responses/maria/s1/r1")).toBe(false);
    expect(mayPublish(rule, "directory/principals/maria")).toBe(false);
  });

  it.each(["inspector", "scada"] as const)("%s publishes nothing", (profile) => {
    const rule = ruleFor(profile, "eye");
    for (const topic of ["machines/eye/status", "requests/eye/s1/production/entry-add/r1", "$SYS/broker/uptime", "a"]) {
      expect(mayPublish(rule, topic)).toBe(false);
    }
  });

  it("a machine publishes under its own id only", () => {
    const rule = ruleFor("machine", "ipc-07");
    expect(mayPublish(rule, "machines/ipc-07/status")).toBe(true);
    expect(mayPublish(rule, "machines/ipc-07/events/production")).toBe(true);
    expect(mayPublish(rule, "machines/ipc-08/status")).toBe(false);
    expect(mayPublish(rule, "machines/ipc-07/receipts/production")).toBe(false);
    expect(mayPublish(rule, "machines/ipc-07/commands/ping")).toBe(false);
  });

  it("only the fleet commands machines, and only the machine itself answers", () => {
    const fleet = ruleFor("service", "fleet");
    expect(mayPublish(fleet, "machines/ipc-07/commands/ping")).toBe(true);
    const answers = ["ack", "progress", "result"].map((kind) => `machines/ipc-07/commands/ping/${kind}`);
    for (const answer of answers) {
      expect(mayPublish(fleet, answer), answer).toBe(false);
      expect(mayReceive(fleet, answer), answer).toBe(true);
      expect(mayPublish(ruleFor("machine", "ipc-07"), answer), answer).toBe(true);
      expect(mayPublish(ruleFor("machine", "ipc-08"), answer), answer).toBe(false);
    }
    for (const profile of PROFILES.filter((profile) => profile !== "service")) {
      expect(mayPublish(ruleFor(profile, "fleet-eyes"), "machines/ipc-07/commands/ping"), profile).toBe(false);
    }
    for (const name of ["production", "audit", "console", "broker", "directory"]) {
      expect(mayPublish(ruleFor("service", name), "machines/ipc-07/commands/ping"), name).toBe(false);
    }
  });

  it("only the owner of a book sends its receipts", () => {
    expect(mayPublish(ruleFor("service", "production"), "machines/ipc-07/receipts/production")).toBe(true);
    expect(mayPublish(ruleFor("service", "audit"), "machines/ipc-07/receipts/production")).toBe(false);
    expect(mayPublish(ruleFor("service", "fleet"), "machines/ipc-07/receipts/audit")).toBe(false);
  });

  it("an unlisted service may do nothing", () => {
    expect(ruleFor("service", "made-up")).toEqual({ publish: [], subscribe: [], hidden: [] });
  });
});

describe("who may subscribe what", () => {
  it("an inspector may subscribe everything and is shown nothing private", () => {
    const rule = ruleFor("inspector", "eye");
    expect(maySubscribe(rule, "#")).toBe(true);
    expect(maySubscribe(rule, "$SYS/#")).toBe(true);
    expect(mayReceive(rule, "machines/ipc-07/status")).toBe(true);
    expect(mayReceive(rule, "$SYS/broker/uptime")).toBe(true);
    for (const topic of [
      "requests/maria/s1/production/entry-add/r1",
      "responses/maria/s1/r1",
      "machines/ipc-07/receipts/production",
      "services/production/receipts/audit",
      "machines/ipc-07/events/production",
      "machines/ipc-07/commands/ping",
      "machines/ipc-07/commands/ping/ack",
      "machines/ipc-07/commands/system-info/result",
      "directory/principals/maria",
      "$SYS/0a1b/new/clients",
    ]) {
      expect(mayReceive(rule, topic), topic).toBe(false);
    }
  });

  it.each(people)("a person (%s) sees the floor and the own responses", (profile) => {
    const rule = ruleFor(profile, "maria");
    expect(maySubscribe(rule, "machines/+/status")).toBe(true);
    expect(maySubscribe(rule, "machines/ipc-07/status")).toBe(true);
    expect(maySubscribe(rule, "responses/maria/s1/+")).toBe(true);
    expect(maySubscribe(rule, "responses/+/s1/+")).toBe(false);
    expect(maySubscribe(rule, "responses/pedro/s1/+")).toBe(false);
    expect(maySubscribe(rule, "#")).toBe(false);
    expect(maySubscribe(rule, "machines/#")).toBe(false);
    expect(maySubscribe(rule, "+/+/status")).toBe(false);
  });

  it("a machine reads its own receipts and commands and no other's", () => {
    const rule = ruleFor("machine", "ipc-07");
    expect(maySubscribe(rule, "machines/ipc-07/receipts/+")).toBe(true);
    expect(maySubscribe(rule, "machines/+/receipts/+")).toBe(false);
    expect(maySubscribe(rule, "machines/ipc-08/commands/+")).toBe(false);
  });

  it.each([...people, "inspector", "scada"] as const)("%s does not see commands nor their results", (profile) => {
    const rule = ruleFor(profile, "maria");
    expect(mayReceive(rule, "machines/ipc-07/commands/ping")).toBe(false);
    expect(mayReceive(rule, "machines/ipc-07/commands/ping/result")).toBe(false);
  });

  it("every profile has a rule", () => {
    for (const profile of PROFILES) expect(ruleFor(profile, "audit").subscribe.length).toBeGreaterThan(0);
  });
});

describe("filterCovers", () => {
  const topic = fc.array(fc.constantFrom("a", "b", "$SYS"), { minLength: 1, maxLength: 4 });
  const choices = fc.array(fc.constantFrom("keep", "plus", "other"), { minLength: 4, maxLength: 4 });
  const cut = fc.option(fc.nat(4));
  /** A filter near the topic: each level kept, widened or replaced, and perhaps cut short with '#'. */
  const near = (levels: string[], [how, at]: [string[], number | null]) => {
    const all = levels.map((level, index) => (how[index] === "plus" ? "+" : how[index] === "other" ? "b" : level));
    return (at === null ? all : [...all.slice(0, at), "#"]).join("/");
  };

  it("never lets a filter through that matches a topic outside the allowed one", () => {
    let covered = 0;
    fc.assert(
      fc.property(topic, fc.tuple(choices, cut), fc.tuple(choices, cut), (levels, first, second) => {
        const at = levels.join("/");
        const allowed = near(levels, first);
        const asked = near(levels, second);
        if (!filterCovers(allowed, asked) || !topicMatches(asked, at)) return;
        covered += 1;
        expect(topicMatches(allowed, at), `${allowed} covers ${asked} at ${at}`).toBe(true);
      }),
      { numRuns: 5000, seed: 1 },
    );
    expect(covered).toBeGreaterThan(500);
  });

  it("covers itself", () => {
    fc.assert(
      fc.property(topic, fc.tuple(choices, cut), (levels, how) => {
        const any = near(levels, how);
        expect(filterCovers(any, any)).toBe(true);
      }),
    );
  });
});
