import { expect, test } from "vitest";
import { WitnessAlarm, WitnessAlarmKind } from "../../../lib/contracts/witness.ts";

const alarm: WitnessAlarm = {
  v: 1,
  alarm: "forked",
  origin: "plant-1/audit",
  since: "2026-11-24T12:00:00.000Z",
  message: "At size 7 the log had another root before.",
  cosigned: null,
  seen: "plant-1/audit\n7\n…",
};

test("an alarm of a witness is of a kind that is known, and has nothing else in it", () => {
  for (const kind of WitnessAlarmKind.options)
    expect(WitnessAlarm.safeParse({ ...alarm, alarm: kind }).success).toBe(true);
  expect(WitnessAlarm.safeParse({ ...alarm, alarm: "strange" }).success).toBe(false);
  expect(WitnessAlarm.safeParse({ ...alarm, cleared: true }).success).toBe(false);
});
