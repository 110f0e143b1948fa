import { describe, expect, it } from "vitest";
import { contradictionOf } from "../../../services/fleet/contradiction.ts";
import { createHubView } from "../../../services/fleet/hub-view.ts";
import { createSignsOfLife } from "../../../services/fleet/signs-of-life.ts";
import { NOW, presence, summary } from "./samples.ts";

const ONE = { connections: 1, addresses: ["10.0.0.1"] };
const offline = (why: "will" | "silent") => presence({ online: false, why });
const seenAs = (state: "connected" | "quiet" | "none", named = true) => ({ state, since: NOW - 5000, named });

describe("what the hub sees against a machine's last word", () => {
  it.each([
    ["online, connected", presence(), seenAs("connected"), null],
    ["online, quiet, and it reports each second", presence(), seenAs("quiet"), "silent"],
    ["online, no connection", presence(), seenAs("none"), "no-connection"],
    ["online, never met since the hub is in reach", presence(), seenAs("none", false), null],
    ["online, the broker does not tell", presence(), null, null],
    ["silent, heard again", offline("silent"), seenAs("connected"), "heard"],
    ["silent, still quiet", offline("silent"), seenAs("quiet"), null],
    ["gone by its will while another connection stands", offline("will"), seenAs("connected"), null],
  ] as const)("%s", (_what, word, seen, expected) => {
    expect(contradictionOf({ presence: word, seen, reports: true, heardAt: null, now: NOW })).toBe(expected);
  });

  it("says nothing of a device that is quiet and never promised to speak", () => {
    const o = { presence: presence(), seen: seenAs("quiet"), heardAt: null, now: NOW };
    expect(contradictionOf({ ...o, reports: false })).toBeNull();
  });

  it("waits a second, from when the connection went and from when the machine was heard", () => {
    const o = { presence: presence(), reports: false };
    const seen = { state: "none", since: NOW, named: true } as const;
    expect(contradictionOf({ ...o, seen, heardAt: null, now: NOW + 999 })).toBe("wait");
    expect(contradictionOf({ ...o, seen, heardAt: NOW + 500, now: NOW + 1000 })).toBe("wait");
    expect(contradictionOf({ ...o, seen, heardAt: NOW + 500, now: NOW + 1500 })).toBe("no-connection");
  });
});

describe("the view of the hub", () => {
  it("is nothing until the hub has spoken and after it went", () => {
    const view = createHubView(() => NOW);
    expect(view.of("press-1")).toBeNull();
    view.take({ v: 1, machines: { "press-1": { ...ONE, quiet: true } } });
    expect(view.of("press-1")).toEqual({ state: "quiet", since: NOW, named: true });
    expect(view.of("press-2")).toEqual({ state: "none", since: NOW, named: false });
    view.forget();
    expect(view.of("press-1")).toBeNull();
  });

  it("knows since when a state holds", () => {
    const clock = { now: 0 };
    const view = createHubView(() => clock.now);
    const take = (quiet: boolean) => view.take({ v: 1, machines: { "press-1": { ...ONE, quiet } } });
    take(false);
    clock.now = 10;
    take(false);
    expect(view.of("press-1")).toMatchObject({ state: "connected", since: 0 });
    take(true);
    expect(view.of("press-1")).toMatchObject({ state: "quiet", since: 10 });
    clock.now = 20;
    view.take({ v: 1, machines: {} });
    clock.now = 30;
    view.take({ v: 1, machines: {} });
    expect(view.of("press-1")).toEqual({ state: "none", since: 20, named: true });
  });
});

describe("whether a machine sends a summary each second", () => {
  it("is known from three in a row, or from one that the hub remembers", () => {
    const clock = { now: 0 };
    const signs = createSignsOfLife(() => clock.now);
    const after = (ms: number, machine = "press-1") => {
      clock.now += ms;
      signs.heard(machine, summary(), false);
      return signs.reports(machine);
    };
    expect([after(0), after(1000), after(60_000), after(1000), after(1000), after(60_000)]).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
    signs.heard("press-2", summary(), true);
    expect(signs.reports("press-2")).toBe(true);
  });
});
