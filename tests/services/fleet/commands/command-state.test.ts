import { describe, expect, it } from "vitest";
import { type CommandResult, CommandState, isOpen, type Issuer, Outcome } from "../../../../lib/contracts/commands.ts";
import { type Happening, stateAfter } from "../../../../services/fleet/commands/command-state.ts";
import { createKey } from "../../../../lib/runtime/keys.ts";
import { command, signedBy } from "../../../support/commands.ts";

const result = (status: CommandResult["status"]): Happening => ({
  kind: "result",
  result: { v: 1, id: command().id, at: command().issuedAt, status, data: null, error: null },
});
const SILENCE: Happening = { kind: "silence" };
const BY: Issuer = command().issuer;
const APPROVED: Happening = {
  kind: "approved",
  by: BY,
  made: { command: command(), signed: signedBy(createKey(), command()) },
};
const CANCELLED: Happening = { kind: "cancelled", by: BY };
const WORDS: Happening[] = [{ kind: "ack" }, { kind: "progress" }, ...Outcome.options.map(result)];
const EVERYTHING: Happening[] = [APPROVED, CANCELLED, { kind: "sent" }, SILENCE, ...WORDS];

describe("the state that follows", () => {
  it.each([
    ["pending-approval", APPROVED, "queued"],
    ["pending-approval", SILENCE, "expired"],
    ["pending-approval", CANCELLED, "cancelled"],
    ["queued", CANCELLED, "cancelled"],
    ["sent", CANCELLED, "cancelled"],
    ["queued", { kind: "sent" }, "sent"],
    ["sent", { kind: "ack" }, "acknowledged"],
    ["acknowledged", { kind: "progress" }, "running"],
    ["queued", SILENCE, "expired"],
    ["sent", SILENCE, "expired"],
    ["acknowledged", SILENCE, "timed-out"],
    ["running", SILENCE, "timed-out"],
    // Words may be lost or overtake each other: the later one stands for those before it.
    ["queued", { kind: "ack" }, "acknowledged"],
    ["sent", { kind: "progress" }, "running"],
  ] as const)("of %s after %j is %s", (before, happening, after) => {
    expect(stateAfter(before, happening)).toBe(after);
  });

  it("is the machine's outcome, from any open state", () => {
    for (const before of ["queued", "sent", "acknowledged", "running"] as const) {
      for (const status of Outcome.options) expect(stateAfter(before, result(status))).toBe(status);
    }
  });

  it("of what waits for approval is nothing that a machine says, or that was sent", () => {
    for (const word of [{ kind: "sent" } as const, ...WORDS]) expect(stateAfter("pending-approval", word)).toBeNull();
  });

  it("is never cancelled once the machine has it, and approved only while it waits for that", () => {
    for (const before of CommandState.options) {
      if (["pending-approval", "queued", "sent"].includes(before)) continue;
      expect(stateAfter(before, CANCELLED), before).toBeNull();
    }
    for (const before of CommandState.options.slice(1)) expect(stateAfter(before, APPROVED), before).toBeNull();
  });

  it("never goes back", () => {
    const order = CommandState.options;
    const steps = order
      .filter(isOpen)
      .flatMap((before) => EVERYTHING.map((what) => [before, stateAfter(before, what)]));
    const back = steps.filter(([before, after]) => after && before && order.indexOf(after) <= order.indexOf(before));
    expect(back).toEqual([]);
  });

  it("is final once the machine has said its last word", () => {
    for (const ended of Outcome.options) {
      for (const happening of EVERYTHING) expect(stateAfter(ended, happening)).toBeNull();
    }
  });

  it("gives way to the machine's late word where the fleet had only concluded", () => {
    for (const concluded of ["expired", "timed-out", "cancelled"] as const) {
      expect(stateAfter(concluded, result("succeeded"))).toBe("succeeded");
      expect(stateAfter(concluded, result("unknown-outcome"))).toBe("unknown-outcome");
      expect(stateAfter(concluded, result("rejected"))).toBeNull();
      expect(stateAfter(concluded, { kind: "ack" })).toBeNull();
      expect(stateAfter(concluded, SILENCE)).toBeNull();
    }
  });
});
