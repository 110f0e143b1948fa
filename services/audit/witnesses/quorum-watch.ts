import type { Checkpoint } from "../../../lib/ledger/checkpoint.ts";
import type { Progress } from "./progress.ts";
import type { Quorum } from "./standing.ts";

/** What was cosigned longer ago says nothing of now, ms; a witness that answers cosigns each minute. */
const FRESH_MS = 90_000;

/** Whether a log's checkpoints get their quorum. */
export interface QuorumWatch {
  /** Looks again: after a checkpoint, a cosignature of `size`, a change of membership, and now and then. */
  look(size?: number): void;
  cosigned(): number;
  /** Since when no checkpoint has got its quorum, ms since 1970; null while one does, or none is asked for. */
  unmetSince(): number | null;
}

/**
 * @param o.progress - of a witness by its name.
 */
export function createQuorumWatch(o: {
  quorum: () => Pick<Quorum, "counting" | "threshold">;
  latest: () => Checkpoint | null;
  progress: (witness: string) => Pick<Progress, "cosignedSize" | "at"> | null;
  now: () => number;
}): QuorumWatch {
  let unmetSince: number | null = null;

  /** Whoever has cosigned a longer log has vouched for its beginning too. */
  function cosignersOf(size: number): number {
    return o.quorum().counting.filter(({ name }) => {
      const known = o.progress(name);
      const at = known?.at() ?? null;
      return (known?.cosignedSize() ?? -1) >= size && at !== null && o.now() - at < FRESH_MS;
    }).length;
  }

  const cosigned = () => {
    const newest = o.latest();
    return newest === null ? 0 : cosignersOf(newest.head.size);
  };

  return {
    look(size) {
      const { threshold } = o.quorum();
      const isAsked = threshold > 0 && o.latest() !== null;
      // One over an earlier size may get its quorum while the log has gone on: the waiting begins anew then.
      if (!isAsked || (size !== undefined && cosignersOf(size) >= threshold)) unmetSince = null;
      if (!isAsked) return;
      if (cosigned() >= threshold) unmetSince = null;
      else unmetSince ??= o.now();
    },
    cosigned,
    unmetSince: () => unmetSince,
  };
}
