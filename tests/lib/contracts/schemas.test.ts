import { describe, expect, it } from "vitest";
import { PasswordRequest } from "../../../lib/contracts/directory.ts";
import { RastroError, toProblem } from "../../../lib/contracts/errors.ts";
import { EVENT_OWNERS, EventBatch } from "../../../lib/contracts/events.ts";
import { Base64, Instant, Segment, Uuid7 } from "../../../lib/contracts/names.ts";
import { findOperation, OPERATIONS } from "../../../lib/contracts/operations.ts";
import { parseJson, parseValue } from "../../../lib/contracts/parse.ts";
import { EntryFields, Justification } from "../../../lib/contracts/production.ts";

function problemOf(act: () => unknown) {
  try {
    act();
  } catch (thrown) {
    return toProblem(thrown);
  }
  throw new Error("nothing was thrown");
}

describe("names", () => {
  it.each(["a", "ipc-07", "a".repeat(63)])("takes %s", (text) => expect(Segment.safeParse(text).success).toBe(true));
  it.each(["", "A", "ipc.07", "ipc_07", "-a", "a-", "a".repeat(64), "maría", "a/b", "+", "#", "$sys"])(
    "refuses '%s'",
    (text) => expect(Segment.safeParse(text).success).toBe(false),
  );
  it("takes only version 7 of UUIDs", () => {
    expect(Uuid7.safeParse("01932c07-5d3e-7a5c-9f10-1b6a2b3c4d5e").success).toBe(true);
    expect(Uuid7.safeParse("01932c07-5d3e-4a5c-9f10-1b6a2b3c4d5e").success).toBe(false);
    expect(Uuid7.safeParse("01932C07-5D3E-7A5C-9F10-1B6A2B3C4D5E").success).toBe(false);
  });
  it.each(["", "AA==", "AAA=", "AAAA", "+/+/", "AAAAAA=="])("takes the base64 '%s'", (text) =>
    expect(Base64.safeParse(text).success).toBe(true),
  );
  it.each([
    "A",
    "AA",
    "AAA",
    "====",
    "A===",
    "AA=A",
    "AA==AAAA",
    "-_-_",
    "AAA ",
    "AA A",
    "\nAAA",
    "AAAA\n\n\n\n",
    "ÀAAA",
    "AA=\n",
  ])("refuses %j as base64", (text) => expect(Base64.safeParse(text).success).toBe(false));
  it("takes only instants that exist", () => {
    expect(Instant.safeParse("2026-02-28T10:00:00.000Z").success).toBe(true);
    expect(Instant.safeParse("2026-13-01T10:00:00.000Z").success).toBe(false);
    expect(Instant.safeParse("2026-02-28T10:00:00Z").success).toBe(false);
    expect(Instant.safeParse("2026-02-28T10:00:00.000-03:00").success).toBe(false);
  });
});

describe("parsing at the edge", () => {
  it("says that bytes are no JSON, and that they are no UTF-8", () => {
    expect(problemOf(() => parseJson(EventBatch, "{", "the batch")).code).toBe("malformed");
    expect(problemOf(() => parseJson(EventBatch, new Uint8Array([0x22, 0xff, 0x22]), "the batch")).code).toBe(
      "malformed",
    );
  });

  it("names field, given value and expectation", () => {
    const problem = problemOf(() => parseValue(EntryFields, { machine: "ipc-07", lot: "L1", good: -3 }, "the entry"));
    expect(problem).toMatchObject({ code: "schema", field: "good", given: "-3", expected: "0 or more pieces" });
    expect(problem.message).toBe("Reading the entry failed: good is -3; expected: 0 or more pieces.");
  });

  it("names a missing field as missing, and cuts long values", () => {
    expect(problemOf(() => parseValue(EntryFields, { machine: "ipc-07" }, "the entry"))).toMatchObject({
      field: "lot",
      given: "missing",
    });
    const long = problemOf(() => parseValue(EntryFields, { machine: "x".repeat(500), lot: "L" }, "the entry"));
    expect(long.given?.length).toBe(80);
  });

  it("does not repeat a secret that does not fit", () => {
    const problem = problemOf(() => parseValue(PasswordRequest, { password: "hunter2" }, "the password"));
    expect(problem).toMatchObject({ code: "weak_password", field: "password" });
    expect(JSON.stringify(problem)).not.toContain("hunter2");
  });

  it("gives a justification that is too short a code of its own", () => {
    expect(
      problemOf(() => parseValue(Justification, { code: "COUNT_FIX", text: "  short    " }, "the reason")),
    ).toMatchObject({
      code: "justification_required",
      field: "text",
    });
    expect(parseValue(Justification, { code: "COUNT_FIX", text: "  counted twice " }, "the reason").text).toBe(
      "counted twice",
    );
  });

  it("tells nothing of a fault inside", () => {
    expect(toProblem(new Error("secret path"))).toEqual({
      code: "internal",
      message: expect.not.stringContaining("secret"),
    });
    expect(toProblem(new RastroError({ code: "busy", message: "m" }))).toEqual({ code: "busy", message: "m" });
  });
});

describe("entries", () => {
  const least = { machine: "ipc-07", lot: "L1" };
  it("fills what is not said", () => {
    expect(EntryFields.parse(least)).toEqual({
      ...least,
      order: null,
      product: null,
      operation: null,
      report: null,
      good: 0,
      rework: 0,
      review: 0,
      scrap: [],
      source: "operator",
    });
  });
  it.each([
    { good: 1.5 },
    { good: "12" },
    { good: 10_000_001 },
    { lot: "" },
    { lot: "L\u0007" },
    { lot: "L\u202811" },
    { machine: "IPC 7" },
    { unknown: 1 },
    {
      scrap: [
        { defect: "burr", pieces: 1 },
        { defect: "burr", pieces: 2 },
      ],
    },
  ])("refuses %j", (wrong) => {
    expect(EntryFields.safeParse({ ...least, ...wrong }).success).toBe(false);
  });
  it("takes the same word in two Unicode spellings for one lot", () => {
    expect(EntryFields.parse({ ...least, lot: "Ca\u0301psula" }).lot).toBe(
      EntryFields.parse({ ...least, lot: "C\u00e1psula" }).lot,
    );
  });
});

describe("operations", () => {
  it("finds what is offered and nothing that only looks so", () => {
    expect(findOperation("production", "entry-add")).toBe(OPERATIONS.production["entry-add"]);
    for (const [service, operation] of [
      ["production", "constructor"],
      ["__proto__", "entry-add"],
      ["audit", "entry-add"],
      ["constructor", "name"],
    ] as const) {
      expect(findOperation(service, operation)).toBeNull();
    }
  });
  it("gives each kind of event one owner", () => {
    expect(new Set(Object.values(EVENT_OWNERS))).toEqual(new Set(["production", "audit", "receiver"]));
  });
});
