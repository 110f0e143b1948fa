import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { followSecondDisk } from "../../edge-agent/second-disk.ts";
import type { StandbyState } from "../../lib/contracts/standby.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { SILENT } from "../support/silent.ts";
import { fakeLink } from "../lib/messaging/fake-link.ts";

const DAY = 86_400_000;

it("knows how much of a book a standby has, while there is one", () => {
  const link = fakeLink("ipc-07");
  let now = Date.parse("2026-11-24T12:00:00.000Z");
  const secondDisk = followSecondDisk({ link, now: () => now, log: SILENT });
  expect(secondDisk.covered("production")).toBeNull();

  const root = randomBytes(32).toString("hex");
  const state = (proven: StandbyState["proven"]): StandbyState => ({
    v: 1,
    book: "production",
    state: "following",
    at: new Date(now).toISOString(),
    held: 7,
    proven,
    note: null,
    behind: { records: 0, ms: 0 },
    message: null,
  });
  link.deliver(topics.standbyBook("production"), state(null));
  expect(secondDisk.covered("production"), "one that has nothing yet covers nothing").toBe(0);
  link.deliver(topics.standbyBook("production"), state({ size: 7, root }));
  expect(secondDisk.covered("production")).toBe(7);
  expect(secondDisk.covered("audit")).toBeNull();
  now += 7 * DAY + 1;
  expect(secondDisk.covered("production"), "it is gone").toBeNull();
});
