import { expect, it } from "vitest";
import { RastroError } from "../../../../lib/contracts/errors.ts";
import { createBehindBooks } from "../../../../services/audit/witnesses/behind.ts";
import type { Behind } from "../../../../services/audit/witnesses/witnessed-log.ts";
import { SILENT } from "../../../support/silent.ts";

const SEEN: Behind[] = ["ipc-02", "ipc-03"].map((by) => ({ book: "audit", size: 9, by }));
const BY = { id: "id", actor: { sub: "root", auth: "session" as const }, reason: null };

/** A book of 3 records that is held and let go; each hold waits on the disk until it is let through. */
function start() {
  let held = false;
  const waiting: (() => void)[] = [];
  const booked: string[] = [];
  const log = {
    book: "audit" as const,
    latest: () => null,
    size: async () => 3,
    onNew: () => undefined,
    consistency: async () => [],
    keepCosigned: async () => undefined,
    keys: () => [],
    hold: () => {
      held = true;
      return new Promise<void>((resolve) => void waiting.push(resolve));
    },
    release: async () => void (held = false),
  };
  const letThrough = () => waiting.splice(0).forEach((resolve) => resolve());
  const books = createBehindBooks({
    logs: () => [log],
    accepted: () => 0,
    isBooked: () => false,
    // What was begun before goes on while a loss is being accepted.
    troubles: {
      begin: () => undefined,
      end: () => undefined,
      open: () => [],
      settle: async () => {
        letThrough();
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    tell: async ({ type }) => {
      if (held) throw new RastroError({ code: "book_behind", message: "the book is held" });
      booked.push(type);
    },
    teller: { self: { name: "audit", tz: "America/Sao_Paulo", now: () => 0 }, newId: () => "other" },
    log: SILENT,
  });
  return { books, booked, isHeld: () => held };
}

it("a loss is accepted though the book was just being stopped for a second witness", async () => {
  const { books, booked, isHeld } = start();
  const falling = books.fall(...SEEN);
  expect(isHeld()).toBe(true);
  expect(await books.accept("audit", BY)).toBe(3);
  await falling;
  expect(booked).toEqual(["book.loss-accepted"]);
  expect(isHeld()).toBe(false);
  expect(books.of("audit")).toEqual([]);
});
