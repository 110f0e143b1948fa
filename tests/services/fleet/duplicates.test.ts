import { describe, expect, it } from "vitest";
import { createDuplicates, ENDED_AFTER } from "../../../services/fleet/duplicates.ts";
import { fakeTiming } from "../../edge-agent/support/fake-timing.ts";
import { presence } from "./samples.ts";

function setUp() {
  const timing = fakeTiming();
  const told: string[] = [];
  const duplicates = createDuplicates({
    now: timing.clock,
    after: timing.after,
    onFound: (machine, { boots }) => told.push(`${machine} ${boots.join(" ")}`),
    onEnded: (machine) => told.push(`${machine} ended`),
  });
  const birth = (boot: string, machine = "press-1") => duplicates.note(machine, presence({ boot, connection: boot }));
  return { timing, told, duplicates, birth };
}

describe("duplicates", () => {
  it("are not: an agent that is started anew, again and again, and one that repeats its word", () => {
    const { told, birth, duplicates } = setUp();
    for (const boot of ["a", "a", "b", "b", "c", "d", "d"]) expect(birth(boot)).toBe(false);
    // The will of an earlier start comes late, and the fleet repeats what was said.
    duplicates.note("press-1", presence({ boot: "a", online: false, why: "will" }));
    duplicates.note("press-1", presence({ boot: "a", why: "heard" }));
    duplicates.note("press-1", null);
    expect(birth("d")).toBe(false);
    birth("a", "press-2");
    expect(told).toEqual([]);
    expect(duplicates.of("press-1")).toBeNull();
  });

  it("are two agents of which one speaks again after the other, told once", () => {
    const { timing, told, birth, duplicates } = setUp();
    expect(birth("a")).toBe(false);
    expect(birth("b")).toBe(false);
    timing.advance(100);
    expect(birth("a")).toBe(true);
    expect(birth("b")).toBe(true);
    expect(birth("a")).toBe(true);
    expect(told).toEqual(["press-1 b a"]);
    expect(duplicates.of("press-1")).toEqual({ boots: ["b", "a"], since: 100 });
    expect(duplicates.all()).toEqual(["press-1"]);
  });

  it("end three minutes after they last answered each other", () => {
    const { timing, told, birth, duplicates } = setUp();
    for (const boot of ["a", "b", "a"]) birth(boot);
    timing.advance(ENDED_AFTER - 1);
    birth("b");
    timing.advance(ENDED_AFTER - 1);
    expect(duplicates.all()).toEqual(["press-1"]);
    timing.advance(1);
    expect(told).toEqual(["press-1 b a", "press-1 ended"]);
    expect(duplicates.all()).toEqual([]);
    expect(timing.pending()).toBe(0);
    birth("b");
    expect(duplicates.of("press-1")).toBeNull();
  });

  it("leave no timer behind", () => {
    const { timing, birth, duplicates } = setUp();
    for (const boot of ["a", "b", "a"]) birth(boot);
    duplicates.close();
    expect(timing.pending()).toBe(0);
  });
});
