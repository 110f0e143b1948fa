/** An IANA zone, as wall clocks in it show the time. */
export type Zone = {
  readonly name: string;
  /**
   * The instant at which a clock in this zone shows a wall time. Of the two at the end of summer time the earlier one; a
   * wall time that is skipped at its beginning counts from the clock before the change (as RFC 5545 §3.3.5 has both).
   *
   * @param wall - the wall time as if it were UTC, ms since 1970.
   */
  toInstant(wall: number): number;
};

const DAY_MS = 86_400_000;

/** @throws RangeError for a name that is no zone. */
export function openZone(name: string): Zone {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const wallAt = (instant: number) => {
    const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second);
  };
  return {
    name,
    toInstant: (wall) => {
      // No zone changes its clock twice within two days, so that one of these two offsets holds.
      const before = wallAt(wall - DAY_MS) - (wall - DAY_MS);
      const after = wallAt(wall + DAY_MS) - (wall + DAY_MS);
      const fitting = [wall - before, wall - after].filter((instant) => wallAt(instant) === wall);
      return fitting.length === 0 ? wall - before : Math.min(...fitting);
    },
  };
}
