import { describe, expect, it } from "vitest";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { EntryState } from "../../../services/production/entry-state.ts";
import { judgeCorrection, judgeCreation, judgeVoid } from "../../../services/production/rules.ts";
import { fields, machine, NAMES, NOW, uuid } from "./samples.ts";

const at = new Date(NOW).toISOString();
const head: EntryState = {
  id: uuid(1),
  rev: 2,
  state: "live",
  at,
  recv: at,
  fields: fields({ good: 10 }),
  flags: [],
  seqs: [0, 1],
  leaf: "0".repeat(64),
};

function problemOf(act: () => unknown) {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof RastroError) return thrown.problem;
    throw thrown;
  }
  throw new Error("nothing was refused");
}

describe("a creation", () => {
  const created = (
    given: Partial<{ machine: string; at: string; unsigned: boolean }> = {},
    from = machine("press-01"),
  ) =>
    judgeCreation(NAMES, from, {
      fields: fields({ machine: given.machine ?? "press-01", lot: "never seen" }),
      at: given.at ?? at,
      recv: at,
      unsigned: given.unsigned ?? false,
    });

  it("stands as version 1 with the whole snapshot, and opens its lot", () => {
    expect(created()).toEqual({ rev: 1, before: null, after: fields({ lot: "never seen" }), flags: [] });
  });

  it("for a machine that nobody registered is refused with those that are spelled alike", () => {
    const problem = problemOf(() =>
      judgeCreation(NAMES, null, { fields: fields({ machine: "pres-02" }), at, recv: at, unsigned: false }),
    );
    expect(problem).toMatchObject({ code: "unknown_machine", field: "fields.machine", given: "pres-02" });
    expect(problem.message).toContain("Nearest: press-02, press-01.");
  });

  it("for a machine that is registered no longer is refused", () => {
    expect(problemOf(() => created({ machine: "press-09" })).code).toBe("unknown_machine");
  });

  it("by a machine is for itself and for those that it speaks for", () => {
    const gateway = machine("gateway-1", { speaksFor: ["press-02"] });
    expect(created({ machine: "press-02" }, gateway).rev).toBe(1);
    expect(problemOf(() => created({ machine: "press-01" }, gateway))).toMatchObject({
      code: "not_spoken_for",
      expected: "one of gateway-1, press-02",
    });
  });

  it.each([
    ["2026-11-23T12:00:00.000Z", []],
    ["2026-11-23T11:59:59.999Z", ["late"]],
    ["2026-11-24T12:02:00.000Z", []],
    ["2026-11-24T12:02:00.001Z", ["future"]],
    ["1999-01-01T00:00:00.000Z", ["late"]],
  ])("at %s, received at noon of the 24th, is flagged %j and never refused", (time, flags) => {
    expect(created({ at: time }).flags).toEqual(flags);
  });

  it("of a device that cannot sign says so", () => {
    expect(created({ unsigned: true }).flags).toEqual(["unsigned"]);
  });
});

describe("a correction", () => {
  const lotIsKnown = (lot: string) => lot.startsWith("L-");
  const corrected = (given: Partial<Parameters<typeof judgeCorrection>[2]> = {}, state = head) =>
    judgeCorrection(NAMES, state, { rev: 2, fields: fields({ good: 11 }), at: null, lotIsKnown, ...given });

  it("gives both snapshots and the next version", () => {
    expect(corrected()).toEqual({ rev: 3, before: head.fields, after: fields({ good: 11 }), flags: [] });
  });

  it("of a version that is not the newest names the newest", () => {
    const problem = problemOf(() => corrected({ rev: 1 }));
    expect(problem).toMatchObject({ code: "version_conflict", field: "rev", given: "1", expected: "2" });
    expect(problem.message).toContain("version 2");
  });

  it("without any difference is refused", () => {
    expect(problemOf(() => corrected({ fields: head.fields }))).toMatchObject({ code: "schema", field: "fields" });
  });

  it("may move the time alone, and the flags follow from when the entry arrived", () => {
    const moved = corrected({ fields: head.fields, at: "2026-11-20T00:00:00.000Z" }, { ...head, flags: ["unsigned"] });
    expect(moved.flags).toEqual(["late", "unsigned"]);
  });

  it("names a lot that exists", () => {
    expect(problemOf(() => corrected({ fields: fields({ lot: "X-1" }) }))).toMatchObject({
      code: "unknown_lot",
      field: "fields.lot",
      given: "X-1",
    });
  });

  it("cannot move an entry to a machine that is not there, but an entry of one that left stays correctable", () => {
    expect(problemOf(() => corrected({ fields: fields({ machine: "press-09" }) })).code).toBe("unknown_machine");
    const ofOne = { ...head, fields: fields({ machine: "press-09" }) };
    expect(corrected({ fields: fields({ machine: "press-09", good: 3 }) }, ofOne).rev).toBe(3);
  });

  it("of a voided entry is refused", () => {
    expect(problemOf(() => corrected({}, { ...head, state: "voided" })).code).toBe("entry_voided");
  });
});

describe("a void", () => {
  it("leaves nothing after it", () => {
    expect(judgeVoid(head, 2)).toEqual({ rev: 3, before: head.fields, after: null, flags: [] });
  });

  it("names the version that was seen, and comes once", () => {
    expect(problemOf(() => judgeVoid(head, 1)).code).toBe("version_conflict");
    expect(problemOf(() => judgeVoid({ ...head, state: "voided" }, 2)).code).toBe("entry_voided");
  });
});
