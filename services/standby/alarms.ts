import type { BookName } from "../../lib/contracts/names.ts";
import type { AlarmRule } from "../../lib/runtime/alarms.ts";
import type { Standing } from "./follow-book.ts";
import { problemIn } from "./state.ts";

/** How long something other than a divergence has to last before it is an alarm, ms; and to be right before it is none. */
const LASTS_MS = 10_000;

/** What an operator has to know of a copy: that it is of another history than the log, and that it is no copy of now. */
export function alarmsOf(
  book: BookName,
  standing: () => Standing,
  o: { now: () => number; startedAt: number },
): AlarmRule[] {
  return [
    {
      name: `diverged-${book}`,
      look: () => divergenceOf(book, standing()),
      raiseAfterMs: 0,
      clearAfterMs: 0,
    },
    {
      name: `behind-${book}`,
      look: () =>
        divergenceOf(book, standing()) === null ? problemIn(book, heardSince(standing(), o.startedAt), o.now()) : null,
      raiseAfterMs: LASTS_MS,
      clearAfterMs: LASTS_MS,
    },
  ];
}

function divergenceOf(book: BookName, { divergence, rewound }: Standing): string | null {
  if (divergence !== null) {
    return `${divergence} Nothing was overwritten; find out which side is right before "rastro standby start-over --book ${book}".`;
  }
  return rewound === null
    ? null
    : `${rewound}. The log has lost records that lie here: stop its service and restore the book from here.`;
}

/** A standby that has heard nothing since its start has been without a word since then. */
function heardSince(standing: Standing, startedAt: number): Standing {
  return { ...standing, heardAt: standing.heardAt ?? startedAt };
}
