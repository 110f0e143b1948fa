import { tmpdir } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { diskCheck, hubAlarms } from "../../broker/hub-alarms.ts";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";

/** More than any disk has free. */
const ENDLESS = 2 ** 60;

function look(name: string, o: { connected?: number; behind?: number; diskBytes?: number; fault?: string } = {}) {
  const rules = hubAlarms({
    hub: {
      connectionsTotal: 100,
      connected: () => o.connected ?? 0,
      lane: () => ({ frames: 0, batches: 0, readersBehind: o.behind ?? 0 }),
    },
    persistence: { fault: () => o.fault ?? null },
    folder: tmpdir(),
    diskBytes: o.diskBytes ?? 0,
  });
  return rules.find((rule) => rule.name === name)?.look();
}

it("the disk is looked at as it is", async () => {
  expect(await look("disk-space")).toBeNull();
  expect(await look("disk-space", { diskBytes: ENDLESS })).toMatch(
    /^The disk of \S+ has \d+ MiB left, less than \d+: make room/,
  );
});

it("a store that cannot be written is told with its reason", () => {
  expect(look("store")).toBeNull();
  expect(look("store", { fault: "No space left on device." })).toContain("not acknowledged");
  expect(look("store", { fault: "No space left on device." })).toContain("No space left on device.");
});

it("readers that are behind and connections that run out are told in figures", async () => {
  expect(await look("readers-behind")).toBeNull();
  expect(await look("readers-behind", { behind: 2 })).toContain("2 readers");
  expect(await look("connections", { connected: 89 })).toBeNull();
  expect(await look("connections", { connected: 90 })).toContain("90 % of the 100 connections");
});

it("a disk below the floor is not ready, and is again when there is room", async () => {
  const full = diskCheck({ folder: tmpdir(), floorBytes: ENDLESS, everyMs: 5 });
  const roomy = diskCheck({ folder: tmpdir(), floorBytes: 1, everyMs: 5 });
  onTestFinished(() => {
    full.stop();
    roomy.stop();
  });
  await expect.poll(full.check).toMatch(/^the disk has \d+ MiB left, less than \d+: make room$/);
  expect(roomy.check()).toBe(true);
});

it("an alarm is retained below $SYS/broker/alarm until it is cleared", async () => {
  const { hub, connect } = await startPlainHub({ eyes: "inspector" });
  hub.show("alarm/disk-space", "{}");
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("$SYS/broker/alarm/+");
  expect(await inbox.on("$SYS/broker/alarm/disk-space")).toMatchObject({ text: "{}", retain: true });
  hub.show("alarm/disk-space", "");
  await inbox.until((messages) => messages.some(({ text }) => text === ""));
});
