import { z } from "zod";
import { BookName, Count } from "../../../lib/contracts/names.ts";
import type { Book } from "../../../lib/storage/book/book.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import type { Behind } from "./witnessed-log.ts";

/** It lies outside the records: while it is there the book takes none. */
const PLACE = Buffer.from("s/behind");
const Kept = z.array(z.object({ book: BookName, size: Count, by: z.string() }));

/** Whether the audit book may sign and take in records: not while somebody has seen more of it than it has. */
export interface Gate {
  /** Who has seen more; empty while the gate is open. */
  behind(): readonly Behind[];
  /** Shuts the gate, also for the next start. On disk when it resolves. */
  shut(behind: Behind): Promise<void>;
  /** Opens it. On disk when it resolves. */
  open(): Promise<void>;
}

/**
 * As it was left, unless the book has meanwhile got back what was missing, or its loss was accepted.
 *
 * @param o.accepted - so many records of the book are known to be gone.
 */
export async function openGate(o: { store: Store; book: Book; accepted: number }): Promise<Gate> {
  const { store, book } = o;
  const bytes = await store.get(PLACE);
  const known = Math.max(book.logHead().size, o.accepted);
  let behind: Behind[] = Kept.parse(JSON.parse(bytes?.toString("utf8") ?? "[]")).filter((one) => one.size > known);
  hold();

  function hold(): void {
    book.hold(behind.length === 0 ? null : sentenceOf(behind, book.logHead().size));
  }

  return {
    behind: () => behind,
    async shut(one) {
      if (behind.some(({ by, size }) => by === one.by && size >= one.size)) return;
      behind = [...behind.filter(({ by }) => by !== one.by), one];
      hold();
      await store.write((tx) => tx.put(PLACE, Buffer.from(JSON.stringify(behind))));
    },
    async open() {
      behind = [];
      await store.write((tx) => tx.del(PLACE));
      hold();
    },
  };
}

/** What is wrong, and the three ways out. */
export function sentenceOf(behind: readonly Behind[], size: number): string {
  const seen = behind.map(({ by, size }) => `${by} has seen ${size}`).join(", ");
  const book = behind[0]?.book ?? "audit";
  return `the book ${book} has ${size} records and ${seen}: it is behind, and signs and takes in nothing. Put the newest back (rastro backup restore, or promote the standby); if it is lost for good: rastro audit accept-loss --book ${book}`;
}
