import type { BookName } from "../lib/contracts/names.ts";
import { parseJson } from "../lib/contracts/parse.ts";
import { StandbyState } from "../lib/contracts/standby.ts";
import { filters } from "../lib/contracts/topics.ts";
import type { Link } from "../lib/messaging/link.ts";
import type { Logger } from "../lib/runtime/log.ts";

/** A standby that has said nothing for so long is none that anything is kept for, ms. */
const FORGOTTEN_MS = 7 * 24 * 60 * 60 * 1000;

/** How much of each book lies on a second disk. */
export type SecondDisk = {
  /**
   * How many records of a book a standby has proven; null where there is no standby that could be waited for. As good as
   * a receipt: the broker lets nobody else say it.
   */
  covered(book: BookName): number | null;
};

/** Listens to what a standby says of its copies. */
export function followSecondDisk(o: { link: Pick<Link, "subscribe">; now: () => number; log: Logger }): SecondDisk {
  const said = new Map<BookName, { covered: number; at: number }>();

  function take(_topic: string, payload: Buffer): void {
    if (payload.length === 0) return;
    // By its own word: the broker retains the last one, however long ago that was.
    const { book, proven, at } = parseJson(StandbyState, payload, "what a standby says");
    said.set(book, { covered: proven?.size ?? 0, at: Date.parse(at) });
  }

  o.link.subscribe(filters.everyStandbyBook, take).catch((error: unknown) => {
    o.log.info({ err: error }, "what a standby says cannot be heard here");
  });
  return {
    covered(book) {
      const last = said.get(book);
      return last === undefined || o.now() - last.at > FORGOTTEN_MS ? null : last.covered;
    },
  };
}
