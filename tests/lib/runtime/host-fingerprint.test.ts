import { expect, test } from "vitest";
import { WitnessOffer } from "../../../lib/contracts/witness.ts";
import { hostFingerprint } from "../../../lib/runtime/host-fingerprint.ts";

const of = (plant: string, systemId: string | null, hostId: string | null = null) =>
  hostFingerprint({ plant, hostId, systemId: async () => systemId });

test("is the same for two processes of a computer, and another one for each plant and computer", async () => {
  expect(await of("plant-1", "a".repeat(32))).toBe(await of("plant-1", "a".repeat(32)));
  expect(await of("plant-2", "a".repeat(32))).not.toBe(await of("plant-1", "a".repeat(32)));
  expect(await of("plant-1", "b".repeat(32))).not.toBe(await of("plant-1", "a".repeat(32)));
});

test("the setting stands for the system's id; without either there is none", async () => {
  expect(await of("plant-1", "a".repeat(32), "rack-4")).toBe(await of("plant-1", null, "rack-4"));
  expect(await of("plant-1", null)).toBeNull();
});

test("reads what this computer has, and fits an offer", async () => {
  const host = await hostFingerprint({ plant: "plant-1", hostId: null });
  expect(WitnessOffer.safeParse({ vkey: "ipc-07.plant-1/witness+00000000+BAAA", host }).success).toBe(true);
});
