import type { BookName } from "../../lib/contracts/names.ts";
import type { StandbyState } from "../../lib/contracts/standby.ts";
import type { Cosigned } from "./cosigned-note.ts";
import type { Standing } from "./follow-book.ts";

/** A log says something at least once a minute; a standby that hears nothing for so long does not know where it stands. */
const SILENT_MS = 150_000;
/** A standby that is behind for longer is not one to rely on. */
const BEHIND_MS = 60_000;

/** How many records the log has signed and are not proven here. */
export function recordsBehind({ newest, proven }: Standing): number {
  return Math.max(0, newest - (proven?.head.size ?? 0));
}

/** For how long something of the log has not been proven here, ms. */
export function msBehind({ behindSince }: Standing, now: number): number {
  return behindSince === null ? 0 : Math.max(0, Math.round(now - behindSince));
}

/** What stands on the retained topic of a book. */
export function stateOf(book: BookName, standing: Standing, o: { now: number; cosigned: Cosigned }): StandbyState {
  const { proven } = standing;
  return {
    v: 1,
    book,
    state: wordFor(standing),
    at: new Date(o.now).toISOString(),
    held: standing.held,
    proven: proven === null ? null : { size: proven.head.size, root: proven.head.root.toString("hex") },
    note: proven === null ? null : o.cosigned(proven),
    behind: { records: recordsBehind(standing), ms: msBehind(standing, o.now) },
    message: problemIn(book, standing, o.now),
  };
}

/** What is wrong with the copy of a book, in one sentence; null when nothing is. */
export function problemIn(book: BookName, standing: Standing, now: number): string | null {
  const { divergence, rewound, proven, heardAt } = standing;
  if (divergence !== null)
    return `the copy of the book ${book} has diverged and is not followed any more: ${divergence}`;
  if (rewound !== null) return rewound;
  const behind = behindSentence(book, standing, now);
  if (behind !== null) return behind;
  if (heardAt === null && proven === null) return `no checkpoint of the book ${book} has come yet`;
  if (heardAt !== null && now - heardAt > SILENT_MS) {
    return `no checkpoint of the book ${book} has come for ${Math.round((now - heardAt) / 1000)} s`;
  }
  return null;
}

/** Null while it is not behind for long. */
function behindSentence(book: BookName, standing: Standing, now: number): string | null {
  const { refusal, trouble } = standing;
  const ms = msBehind(standing, now);
  if (refusal === null && ms < BEHIND_MS) return null;
  if (refusal !== null && ms === 0) return refusal;
  const why = refusal ?? trouble;
  const sentence = `${recordsBehind(standing)} records of the book ${book} are not proven here, for ${Math.round(ms / 1000)} s`;
  return why === null ? sentence : `${sentence}: ${why}`;
}

function wordFor(standing: Standing): StandbyState["state"] {
  if (standing.divergence !== null) return "diverged";
  if (standing.proven === null && standing.newest === 0) return "waiting";
  return standing.behindSince === null ? "following" : "catching-up";
}
