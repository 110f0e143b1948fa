import { expect, it } from "vitest";
import { VIEW_RATES, ViewRatesText, viewRateOf } from "../../../lib/contracts/view-rates.ts";

it("reads rates by viewer, and leaves the others at their presets", () => {
  expect(ViewRatesText.parse("inspector=2, scada=50,console=full")).toEqual({
    ...VIEW_RATES,
    inspector: 2,
    scada: 50,
    console: "full",
  });
  expect(ViewRatesText.parse("")).toEqual(VIEW_RATES);
});

it.each([
  "inspector",
  "inspector=0",
  "inspector=fast",
  "inspector=101",
  "machine=1",
  "constructor=1",
  "inspector=1e1",
  "=4",
])("refuses %j", (text) => {
  expect(ViewRatesText.safeParse(text).error?.issues[0]?.message).toContain("such as inspector=4");
});

it("a viewer gets the rate of the profile, the console its own, machines and services everything", () => {
  expect(viewRateOf(VIEW_RATES, { profile: "inspector", name: "console" })).toBe(4);
  expect(viewRateOf(VIEW_RATES, { profile: "service", name: "console" })).toBe(10);
  expect(viewRateOf(VIEW_RATES, { profile: "service", name: "fleet" })).toBe("full");
  expect(viewRateOf(VIEW_RATES, { profile: "machine", name: "inspector" })).toBe("full");
});
