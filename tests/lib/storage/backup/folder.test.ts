import { describe, expect, it } from "vitest";
import { backupName, madeAt, notKept } from "../../../../lib/storage/backup/folder.ts";

const DAY = 24 * 60 * 60 * 1000;
const NOW = Date.parse("2026-11-24T01:00:00.000Z");
const daysAgo = (days: number) => backupName(NOW - days * DAY);

describe("which backups are kept", () => {
  it.each<{ what: string; days: number[]; damaged?: number[]; count: number; age: number; removed: number[] }>([
    { what: "none", days: [], count: 3, age: 30, removed: [] },
    { what: "all that count and age allow", days: [0, 1, 2], count: 3, age: 30, removed: [] },
    { what: "the newest so many", days: [0, 1, 2, 3, 4], count: 3, age: 30, removed: [3, 4] },
    { what: "none too old, however few there are", days: [0, 31, 40], count: 3, age: 30, removed: [31, 40] },
    { what: "one of exactly the age", days: [0, 30], count: 3, age: 30, removed: [] },
    { what: "the newest though it is too old", days: [50, 60], count: 3, age: 30, removed: [60] },
    {
      what: "the newest that is not damaged, beyond the count",
      days: [0, 1, 2],
      damaged: [0, 1],
      count: 1,
      age: 30,
      removed: [1],
    },
    {
      what: "the newest that is not damaged, beyond the age",
      days: [0, 40, 50],
      damaged: [0],
      count: 5,
      age: 30,
      removed: [50],
    },
    {
      what: "nothing more where all are damaged",
      days: [0, 1, 40],
      damaged: [0, 1, 40],
      count: 1,
      age: 30,
      removed: [1, 40],
    },
  ])("$what", ({ days, damaged = [], count, age, removed }) => {
    const backups = days.map((ago) => ({ name: daysAgo(ago), damaged: damaged.includes(ago) }));
    expect(notKept(backups, { count, ageMs: age * DAY }, NOW)).toEqual(removed.map(daysAgo));
  });
});

it("a backup's name says when it was made", () => {
  expect(backupName(NOW + 7)).toBe("20261124T010000007Z.rastro-backup");
  expect(madeAt(backupName(NOW + 7))).toBe(NOW + 7);
});
