import { describe, expect, it } from "vitest";
import { createRefusals, type Refusal, type RefusalReport } from "../../../lib/runtime/refusals.ts";

const SECOND = 1000;

function bench(maximumKinds?: number) {
  const reports: RefusalReport[] = [];
  const clock = { now: 0 };
  let task = () => {};
  let every = 0;
  const refusals = createRefusals({
    emit: (report) => reports.push(report),
    now: () => clock.now,
    repeat: (given, ms) => {
      task = given;
      every = ms;
      return () => (task = () => {});
    },
    ...(maximumKinds === undefined ? {} : { maximumKinds }),
  });
  const pass = (ms: number) => {
    for (const end = clock.now + ms; clock.now < end;) {
      clock.now += every;
      task();
    }
  };
  return { refusals, reports, clock, pass };
}

const refusal = (change: Partial<Refusal> = {}): Refusal => ({
  principal: "ana",
  address: "10.0.0.1",
  code: "bad_credentials",
  detail: "wrong password",
  ...change,
});

describe("refusals", () => {
  it("are told at once the first time, then counted each minute", () => {
    const { refusals, reports, clock, pass } = bench();
    refusals.note(refusal());
    expect(reports).toEqual([{ ...refusal(), count: 1, from: 0, to: 0 }]);
    for (let second = 1; second <= 50; second += 1) {
      clock.now = second * SECOND;
      refusals.note(refusal({ detail: `attempt ${second}` }));
    }
    expect(reports).toHaveLength(1);
    pass(10 * SECOND);
    expect(reports.slice(1)).toEqual([{ ...refusal({ detail: "attempt 50" }), count: 50, from: 0, to: 50 * SECOND }]);
    refusals.note(refusal());
    pass(60 * SECOND);
    expect(reports.at(-1)).toMatchObject({ count: 1, from: 60 * SECOND });
  });

  it("are first again after a minute without any", () => {
    const { refusals, reports, pass } = bench();
    refusals.note(refusal());
    pass(60 * SECOND);
    expect(reports).toHaveLength(1);
    refusals.note(refusal());
    expect(reports).toHaveLength(2);
  });

  it("are told apart by principal, address and code", () => {
    const { refusals, reports } = bench();
    refusals.note(refusal());
    refusals.note(refusal({ principal: "eva" }));
    refusals.note(refusal({ address: null }));
    refusals.note(refusal({ code: "locked_out" }));
    refusals.note(refusal({ detail: "another detail only" }));
    expect(reports).toHaveLength(4);
  });

  it("of too many names are counted together", () => {
    const { refusals, reports, pass } = bench(3);
    for (let index = 0; index < 1000; index += 1) refusals.note(refusal({ principal: `guess-${index}` }));
    expect(reports.map(({ principal }) => principal)).toEqual(["guess-0", "guess-1", "guess-2", "others"]);
    pass(60 * SECOND);
    expect(reports.slice(4)).toMatchObject([{ principal: "others", count: 996 }]);
  });

  it("that are counted are told at the end", () => {
    const { refusals, reports } = bench();
    refusals.note(refusal());
    refusals.note(refusal());
    refusals.close();
    expect(reports.map(({ count }) => count)).toEqual([1, 1]);
  });
});
