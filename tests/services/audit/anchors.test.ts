import { beforeEach, describe, expect, it } from "vitest";
import type { EventDraft } from "../../../lib/contracts/events.ts";
import { signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { logKey } from "../../../lib/ledger/key-rotation.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import type { MessageHandler } from "../../../lib/messaging/subscriptions.ts";
import { anchorCheckpoints } from "../../../services/audit/anchors.ts";
import { keyOfSeed } from "../../lib/ledger/keys.ts";
import { SILENT } from "../../support/silent.ts";

const ORIGIN = "plant-1/production";
const note = (size: number, seed = 1) =>
  Buffer.from(signCheckpoint({ origin: ORIGIN, size, root: Buffer.alloc(32, size) }, [keyOfSeed(seed)]));

describe("anchoring the checkpoints of another book", () => {
  let hear: MessageHandler;
  let booked: EventDraft[];
  let now: number;

  beforeEach(async () => {
    booked = [];
    now = Date.parse("2026-11-24T12:00:00Z");
    await anchorCheckpoints({
      link: { subscribe: async (_filters, handler) => void (hear = handler) },
      book: "production",
      keysOfLog: async () => [logKey(ORIGIN, rawPublicKey(keyOfSeed(1)))],
      bookOwnAct: async (draft) => void booked.push(draft),
      self: { name: "audit", tz: "America/Sao_Paulo", now: () => now },
      newId: () => "id",
      log: SILENT,
    });
  });

  const sizes = () => booked.map(({ payload }) => payload["size"]);
  const say = (payload: Buffer) => hear("books/production/checkpoint", payload, true);

  it("has one a minute on record while the book grows", async () => {
    for (let second = 0; second < 180; second += 1) {
      await say(note(Math.floor(second / 2) + 1));
      now += 1000;
    }
    expect(sizes()).toEqual([1, 31, 61]);
    expect(booked[0]).toMatchObject({
      type: "checkpoint.anchored",
      obj: { kind: "book", key: "production" },
      payload: { root: "01".repeat(32), note: note(1).toString() },
    });
  });

  it("says nothing of a book that stays as it is", async () => {
    await say(note(5));
    now += 3_600_000;
    await say(note(5));
    expect(sizes()).toEqual([5]);
  });

  it("leaves out what is not signed by the log, is no checkpoint, or goes back", async () => {
    await say(note(5, 2));
    await say(Buffer.from("nonsense"));
    expect(sizes()).toEqual([]);
    await say(note(5));
    now += 60_000;
    await say(note(4));
    await say(note(6));
    expect(sizes()).toEqual([5, 6]);
  });
});
