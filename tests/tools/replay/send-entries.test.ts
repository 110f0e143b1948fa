import { describe, expect, it } from "vitest";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { Receipt } from "../../../lib/contracts/events.ts";
import { EntryFields } from "../../../lib/contracts/production.ts";
import type { ReplayedEntry } from "../../../tools/replay/report-entry.ts";
import { type EntryDoor, sendEntries } from "../../../tools/replay/send-entries.ts";

const entry = (number: number): ReplayedEntry => ({
  line: number + 1,
  id: `id-${number}`,
  at: new Date(number * 1000).toISOString(),
  tz: "UTC",
  fields: EntryFields.parse({ machine: "oven", lot: "L-1" }),
});
const receiptOf = (id: string): Receipt => ({ id, status: "booked", book: "production", seq: 0, leaf: "0".repeat(64) });

/** A door that takes everything and gives receipts as `answers` has it. */
function doorOf(answers: (id: string) => boolean) {
  const saved: string[] = [];
  const door: EntryDoor = {
    saveAll: async (entries) => void saved.push(...entries.map(({ id }) => id)),
    statusesOf: async (ids) => ids.map((id) => ({ id, status: answers(id) ? receiptOf(id) : "waiting" })),
  };
  return { door, saved };
}

function send(door: EntryDoor, count: number) {
  let clock = 0;
  const steps: string[] = [];
  const done = sendEntries({
    door,
    entries: Array.from({ length: count }, (_, number) => entry(number)),
    speed: null,
    now: () => clock,
    wait: async (ms) => void (clock += ms),
    onProgress: ({ saved, received }) => steps.push(`${saved}/${received}`),
  });
  return { done, steps };
}

describe("sending entries", () => {
  it("saves all, in order, and has a receipt for each", async () => {
    const { door, saved } = doorOf(() => true);
    const { done, steps } = send(door, 1201);
    const receipts = await done;
    expect(saved).toEqual(Array.from({ length: 1201 }, (_, number) => `id-${number}`));
    expect([...receipts.keys()].toSorted()).toEqual(saved.toSorted());
    expect(steps.at(-1)).toBe("1201/1201");
  });

  it("of nothing is done at once, and asks for nothing", async () => {
    const refuse = () => Promise.reject(new Error("the door was asked"));
    expect((await send({ saveAll: refuse, statusesOf: refuse }, 0).done).size).toBe(0);
  });

  it("gives up a minute after the last receipt, and says that the agent does not", async () => {
    const { door } = doorOf((id) => id === "id-0");
    const failed = send(door, 3).done;
    await expect(failed).rejects.toMatchObject({ code: "timeout", message: expect.stringContaining("2 of 3 entries") });
  });

  it("ends with the door's own words, whichever side fails", async () => {
    const full = new RastroError({ code: "store_unusable", message: "full" });
    const { door } = doorOf(() => false);
    await expect(send({ ...door, saveAll: () => Promise.reject(full) }, 3).done).rejects.toBe(full);
    await expect(send({ ...door, statusesOf: () => Promise.reject(full) }, 3).done).rejects.toBe(full);
  });
});
