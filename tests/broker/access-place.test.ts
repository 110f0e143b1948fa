import { expect, it } from "vitest";
import { placeOf } from "../../broker/access-place.ts";
import { principal } from "../support/principals.ts";

const REGISTERED = new Map(
  [principal("maria", "operator"), principal("ipc-01", "machine")].map((one) => [one.name, one]),
);
const maria = REGISTERED.get("maria")?.sub ?? "";

it.each([
  ["machines/ipc-01/status", "machines/ipc-01/status"],
  ["machines/ipc-99/status", "machines/?/status"],
  ["machines/+/events/#", "machines/+/events/#"],
  ["requests/maria/a1/production/entry-add/r1", "requests/production/entry-add"],
  ["requests/joao-silva", "requests/?"],
  ["responses/maria/#", `responses/${maria}/#`],
  ["joao/silva/123.456.789-00", "?/?/?"],
  ["$share/group/#", "?/?/#"],
  ["x".repeat(300), "?"],
])("%s stands in the book as %s", (topic, place) => {
  expect(placeOf(topic, (name) => REGISTERED.get(name))).toBe(place);
});
