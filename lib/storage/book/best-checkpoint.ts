import { type KeptCheckpoint, decodeKept } from "./checkpoints.ts";
import { CHECKPOINTS } from "../keys.ts";
import type { Store } from "../store/store.ts";

/** How many of the newest are looked at: witnesses answer within seconds, and there is at most one a second. */
const LOOKED_AT = 30;

/**
 * The checkpoint to hand to somebody: of the newest the one that the most have signed, and of those the newest, since
 * the very newest may not have been to the witnesses yet. Null when none covers so many records.
 *
 * @param o.covers - so many records at least.
 * @param o.withinMs - made no longer before the newest one.
 */
export async function bestCheckpoint(
  store: Pick<Store, "range">,
  o: { covers: number; withinMs: number },
): Promise<KeptCheckpoint | null> {
  let best: KeptCheckpoint | null = null;
  let newest: number | null = null;
  for await (const [, value] of store.range({ ...CHECKPOINTS, reverse: true, limit: LOOKED_AT })) {
    const kept = decodeKept(value);
    newest ??= kept.madeAt;
    if (kept.checkpoint.head.size < o.covers || kept.madeAt + o.withinMs < newest) break;
    if (best === null || signers(kept) > signers(best)) best = kept;
  }
  return best;
}

function signers({ checkpoint }: KeptCheckpoint): number {
  return new Set(checkpoint.note.signatures.map(({ name }) => name)).size;
}
