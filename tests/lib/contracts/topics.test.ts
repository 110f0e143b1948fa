import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  filters,
  parseCheckpointTopic,
  parseEvents,
  parseMachine,
  parsePrincipal,
  parseRequest,
  parseWitness,
  topicMatches,
  topics,
} from "../../../lib/contracts/topics.ts";

const segment = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);

describe("topics", () => {
  it("parses every request topic that it builds", () => {
    fc.assert(
      fc.property(segment, segment, segment, segment, segment, (user, session, service, operation, request) => {
        const topic = topics.request(user, session, service, operation, request);
        expect(parseRequest(topic)).toEqual({ user, session, service, operation, request });
        expect(topicMatches(filters.requestsTo(service), topic)).toBe(true);
      }),
    );
  });

  it.each([
    "requests/maria/s1/production/entry-add",
    "requests/maria/s1/production/entry-add/r1/more",
    "requests/Maria/s1/production/entry-add/r1",
    "requests/ma.ria/s1/production/entry-add/r1",
    "requests//s1/production/entry-add/r1",
    "responses/maria/s1/production/entry-add/r1",
  ])("takes %s for no request", (topic) => {
    expect(parseRequest(topic)).toBeNull();
  });

  it("parses what machines, services and the directory publish", () => {
    expect(parseEvents(topics.events({ kind: "machines", name: "ipc-07" }, "production"))).toEqual({
      owner: { kind: "machines", name: "ipc-07" },
      book: "production",
    });
    expect(parseEvents("people/maria/events/production")).toBeNull();
    expect(parseEvents("machines/ipc-07/receipts/production")).toBeNull();
    expect(parseMachine(topics.presence("ipc-07"))).toEqual({ machine: "ipc-07", leaf: "presence" });
    expect(parseMachine("machines/ipc-07/events/production")).toBeNull();
    expect(parsePrincipal(topics.principal("maria"))).toBe("maria");
    expect(parsePrincipal("directory/principals/a/b")).toBeNull();
  });
});

describe("topics of witnesses", () => {
  it("parses what it builds", () => {
    expect(parseCheckpointTopic(topics.checkpoint("audit"))).toBe("audit");
    const said = { machine: "ipc-07", book: "audit" };
    expect(parseWitness(topics.witnessAdd("ipc-07", "audit", "r1"))).toEqual({ ...said, kind: "add", request: "r1" });
    expect(parseWitness(topics.witnessResponse("ipc-07", "audit", "r1"))).toEqual({
      ...said,
      kind: "response",
      request: "r1",
    });
    expect(parseWitness(topics.witnessAlarm("ipc-07", "audit"))).toEqual({ ...said, kind: "alarm", request: null });
  });

  it.each([
    "machines/ipc-07/witness/ledger/alarm",
    "machines/ipc-07/witness/audit/alarm/r1",
    "machines/ipc-07/witness/audit/add",
    "machines/ipc-07/witness/audit/add/r1/more",
    "machines/ipc-07/witness/audit/cosign/r1",
    "services/ipc-07/witness/audit/add/r1",
  ])("takes %s for none", (topic) => {
    expect(parseWitness(topic)).toBeNull();
  });

  it.each(["books/ledger/checkpoint", "books/audit/checkpoint/1", "books/audit", "book/audit/checkpoint"])(
    "takes %s for no checkpoint's",
    (topic) => {
      expect(parseCheckpointTopic(topic)).toBeNull();
    },
  );
});

describe("topicMatches (MQTT 3.1.1 §4.7)", () => {
  it.each([
    ["sport/tennis/player1/#", "sport/tennis/player1", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
    ["sport/tennis/+", "sport/tennis/player1", true],
    ["sport/tennis/+", "sport/tennis/player1/ranking", false],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+/+", "/finance", true],
    ["+", "/finance", false],
    ["#", "$SYS/broker/uptime", false],
    ["+/broker/uptime", "$SYS/broker/uptime", false],
    ["$SYS/#", "$SYS/broker/uptime", true],
    ["a/b", "a/b/c", false],
    ["a/b/c", "a/b", false],
  ])("%s against %s: %s", (filter, topic, matches) => {
    expect(topicMatches(filter, topic)).toBe(matches);
  });
});

it("matches any filter and topic as the lists of their levels do", () => {
  const levels = (...parts: string[]) => fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 5 });
  const filter = levels("a", "ab", "+", "#", "+a", "", "$a").map((parts) => parts.join("/"));
  const topic = levels("a", "ab", "b", "", "$a").map((parts) => parts.join("/"));
  fc.assert(
    fc.property(filter, topic, (filter, topic) => {
      expect(topicMatches(filter, topic)).toBe(matchesByLevels(filter.split("/"), topic.split("/")));
    }),
    { numRuns: 5000 },
  );
});

function matchesByLevels(wanted: string[], given: string[]): boolean {
  if (given[0]?.startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false;
  for (const [index, level] of wanted.entries()) {
    if (level === "#") return true;
    if (given[index] === undefined || (level !== "+" && level !== given[index])) return false;
  }
  return wanted.length === given.length;
}
