import { describe, expect, it } from "vitest";
import type { CommandState } from "../../../../lib/contracts/commands.ts";
import { createKey } from "../../../../lib/runtime/keys.ts";
import type { CommandRecord } from "../../../../services/fleet/commands/command-record.ts";
import { createDeadlines, dueAt, GRACE_MS } from "../../../../services/fleet/commands/deadlines.ts";
import { fakeTiming } from "../../../edge-agent/support/fake-timing.ts";
import { command, signedBy } from "../../../support/commands.ts";

const key = createKey();
const MINUTE = 60_000;

function record(...history: [CommandState, number][]): CommandRecord {
  const made = command({ timeoutMs: 2000 }, 0);
  const steps = history.map(([state, at]) => ({ state, at: new Date(at).toISOString(), by: null }));
  const waits = { validMs: MINUTE, approvalMs: MINUTE };
  return { command: made, signed: signedBy(key, made), waits, rollout: null, history: steps, result: null };
}

describe("when silence means something", () => {
  it("of a queued command: as soon as nobody may take it up any more, connected or not", () => {
    expect(dueAt(record(["queued", 0]), null)).toBe(MINUTE + 1);
    expect(dueAt(record(["queued", 0]), 30)).toBe(MINUTE + 1);
  });

  it("of one that waits for approval: as soon as nobody may agree to it any more", () => {
    expect(dueAt(record(["pending-approval", 0]), null)).toBe(MINUTE + 1);
  });

  it("of a sent one: a little later, its acknowledgement may be on its way", () => {
    expect(dueAt(record(["queued", 0], ["sent", 5]), 0)).toBe(MINUTE + GRACE_MS);
  });

  it("of an acknowledged one: its timeout after that, however often it told of progress", () => {
    const steps = [["acknowledged", 1000] as [CommandState, number], ["running", 2500] as [CommandState, number]];
    expect(dueAt(record(...steps), 0)).toBe(3000 + GRACE_MS);
  });

  it("of what machines may have answered: never while cut off, nor until a grace after", () => {
    expect(dueAt(record(["sent", 5]), null)).toBeNull();
    expect(dueAt(record(["acknowledged", 5]), null)).toBeNull();
    expect(dueAt(record(["sent", 5]), 10 * MINUTE)).toBe(10 * MINUTE + GRACE_MS);
  });
});

describe("deadlines", () => {
  function setUp() {
    const timing = fakeTiming();
    const silent: string[] = [];
    const since: { value: number | null } = { value: 0 };
    const deadlines = createDeadlines({
      connectedSince: () => since.value,
      onSilence: (id) => void silent.push(id),
      now: timing.clock,
      after: timing.after,
    });
    return { timing, silent, since, deadlines };
  }

  it("conclude once, at their time", () => {
    const { timing, silent, deadlines } = setUp();
    const queued = record(["queued", 0]);
    deadlines.follow(queued);
    timing.advance(MINUTE);
    expect(silent).toEqual([]);
    timing.advance(2 * MINUTE);
    expect(silent).toEqual([queued.command.id]);
    expect(timing.pending()).toBe(0);
  });

  it("follow the command from state to state, and end with it", () => {
    const { timing, silent, deadlines } = setUp();
    const { command: made, signed } = record();
    const at = (...history: [CommandState, number][]) => ({ ...record(...history), command: made, signed });
    deadlines.follow(at(["queued", 0]));
    deadlines.follow(at(["queued", 0], ["sent", 0]));
    deadlines.follow(at(["acknowledged", 1000]));
    expect(timing.pending()).toBe(1);
    deadlines.end(made.id);
    timing.advance(10 * MINUTE);
    expect(silent).toEqual([]);
  });

  it("wait while the fleet is cut off, and are set anew when it is back", () => {
    const { timing, silent, since, deadlines } = setUp();
    const sent = record(["sent", 0]);
    since.value = null;
    deadlines.follow(sent);
    timing.advance(10 * MINUTE);
    expect(silent).toEqual([]);
    since.value = timing.clock();
    deadlines.follow(sent);
    timing.advance(GRACE_MS - 1);
    expect(silent).toEqual([]);
    timing.advance(1);
    expect(silent).toEqual([sent.command.id]);
  });

  it("leave nothing running when they are closed", () => {
    const { timing, deadlines } = setUp();
    deadlines.follow(record(["queued", 0]));
    deadlines.close();
    expect(timing.pending()).toBe(0);
  });
});
