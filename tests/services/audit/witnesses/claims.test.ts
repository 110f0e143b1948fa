import { describe, expect, it } from "vitest";
import type { WitnessAlarm } from "../../../../lib/contracts/witness.ts";
import { signCheckpoint } from "../../../../lib/ledger/checkpoint.ts";
import { claimOf } from "../../../../services/audit/witnesses/alarm-intake.ts";
import { logKeysOf } from "../../../support/log-keys.ts";

const keys = logKeysOf("plant-test/audit");
const others = logKeysOf("plant-test/production");

const note = (size: number, digit: number, signer = keys) =>
  signCheckpoint({ origin: signer.origin, size, root: Buffer.alloc(32, digit) }, signer.privateKeys());

function claim(cosigned: string | null, seen: string) {
  const alarm: WitnessAlarm = {
    v: 1,
    alarm: "forked",
    origin: keys.origin,
    since: "2026-11-24T12:00:00.000Z",
    message: "two\nhistories",
    cosigned,
    seen,
  };
  return claimOf("ipc-01", "audit", alarm, keys.known());
}

describe("what a machine says of a log", () => {
  it("is proven by two roots for one size, both signed by the log", () => {
    expect(claim(note(5, 1), note(5, 2))).toMatchObject({ isProven: true, message: "two histories" });
  });

  it.each([
    ["the same checkpoint twice", note(5, 1), note(5, 1)],
    ["two sizes", note(5, 1), note(6, 2)],
    ["one note only", null, note(5, 2)],
    ["a note of another log", note(5, 1), note(5, 2, others)],
    ["what is no note", note(5, 1), "hello"],
    ["a note with another signature", note(5, 1), note(5, 2).replace(note(5, 2).slice(-20), note(5, 3).slice(-20))],
  ])("is not proven by %s", (_what, cosigned, seen) => {
    expect(claim(cosigned, seen).isProven).toBe(false);
  });
});
