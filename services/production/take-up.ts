import { RastroError } from "../../lib/contracts/errors.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { recordPromoted } from "../../lib/storage/copy/promoted-book.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { announcementOf } from "./announce.ts";

/** Records that one batch tells of. */
const BATCH = 200;

/**
 * Takes up a book that was put here from a standby: audit is told of what waited in the outbox that was lost, and the
 * book of what happened to it. Does nothing where no word of that was left.
 *
 * @throws what the store and the keys of people throw; the next start tries again.
 */
export async function takeUp(o: Parameters<typeof recordPromoted>[0] & TellAgain & { log: Logger }): Promise<void> {
  const untold = o.promoted.mark?.untold ?? null;
  if (untold !== null && o.book.damage === null) {
    const told = await tellAgain(o, untold);
    o.log.info({ told, from: untold }, "audit is told of records that it had not heard of");
  }
  await recordPromoted(o);
}

type TellAgain = { store: Store; book: Pick<Book, "head" | "open" | "leafAt">; outbox: Pick<Outbox, "stage"> };

/**
 * One that is in the outbox already is passed over, so that it can be done again.
 *
 * @returns how many were told.
 */
async function tellAgain(o: TellAgain, from: number): Promise<number> {
  const { size } = o.book.head();
  let told = 0;
  for (let first = from; first < size; first += BATCH) {
    const seqs = Array.from({ length: Math.min(BATCH, size - first) }, (_, index) => first + index);
    const done = await Promise.all(seqs.map((seq) => tellOne(o, seq)));
    told += done.filter(Boolean).length;
  }
  return told;
}

async function tellOne({ store, book, outbox }: TellAgain, seq: number): Promise<boolean> {
  const [record, leaf] = [book.open(seq), book.leafAt(seq)];
  if (record === undefined || leaf === undefined) return false;
  try {
    await store.write((tx) => void outbox.stage(tx, announcementOf({ seq, leaf }, record)));
    return true;
  } catch (error) {
    if (error instanceof RastroError && error.code === "id_conflict") return false;
    throw error;
  }
}
