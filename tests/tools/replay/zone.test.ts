import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openZone } from "../../../tools/replay/zone.ts";

const at = (zone: string, wall: string) => new Date(openZone(zone).toInstant(Date.parse(`${wall}Z`))).toISOString();

describe("a wall time in a zone", () => {
  it.each([
    ["UTC", "2026-03-02T07:10:00", "2026-03-02T07:10:00.000Z"],
    ["America/Sao_Paulo", "2026-03-02T07:10:00", "2026-03-02T10:10:00.000Z"],
    ["Asia/Kathmandu", "2026-03-02T07:10:00", "2026-03-02T01:25:00.000Z"],
    ["Pacific/Kiritimati", "2026-01-01T00:30:00", "2025-12-31T10:30:00.000Z"],
    // Clocks went from 02:00 to 03:00 on 29 March 2026, and go from 03:00 to 02:00 on 25 October.
    ["Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59.000Z"],
    ["Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00.000Z"],
    ["Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:30:00.000Z"],
    ["Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00.000Z"],
    ["Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00.000Z"],
  ])("%s %s is %s", (zone, wall, instant) => {
    expect(at(zone, wall)).toBe(instant);
  });

  it("is shown by a clock of the zone at the instant that it gives, but where clocks were put forward", () => {
    const zone = openZone("Europe/Berlin");
    const shown = new Intl.DateTimeFormat("sv-SE", { timeZone: zone.name, dateStyle: "short", timeStyle: "medium" });
    const seconds = fc.integer({ min: 0, max: 2_000_000_000 });
    fc.assert(
      fc.property(seconds, (second) => {
        const wall = shown.format(second * 1000).replace(" ", "T");
        const instant = zone.toInstant(Date.parse(`${wall}Z`));
        expect(shown.format(instant).replace(" ", "T")).toBe(wall);
        expect(instant).toBeLessThanOrEqual(second * 1000);
      }),
    );
  });

  it("needs a zone that exists", () => {
    expect(() => openZone("Mars/Olympus")).toThrow(RangeError);
  });
});
