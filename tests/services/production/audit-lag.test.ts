import { expect, it } from "vitest";
import { auditLag } from "../../../services/production/audit-lag.ts";

const NOW = Date.parse("2026-11-24T12:00:00.000Z");

const look = (waiting: number, ageS: number | null) => {
  const oldest = ageS === null ? null : new Date(NOW - ageS * 1000).toISOString();
  const outbox = { depth: () => ({ waiting, sealed: 0, oldest, bytes: 0 }) };
  return auditLag({ outbox, ms: 60_000, events: 100, now: () => NOW }).look();
};

it("audit is behind by the age of what waits or by how much waits", () => {
  expect(look(0, null)).toBeNull();
  expect(look(99, 59)).toBeNull();
  expect(look(1, 60)).toBe(
    "The audit book is behind: 1 events wait for it, the oldest for 60 s. See whether the audit service is ready.",
  );
  expect(look(100, 1)).toContain("100 events wait");
});
