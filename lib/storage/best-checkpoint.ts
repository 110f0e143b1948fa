import { type KeptCheckpoint, decodeKept } from "./checkpoints.ts";
import { CHECKPOINTS } from "./keys.ts";
import type { Store } from "./store.ts";

/** How many of the newest are looked at: witnesses answer within seconds, and there is at most one a second. */
const LOOKED_AT = 30;

/**
 * The checkpoint to hand to somebody: of the newest the one that the most have signed, and of those the newest, since
 * the very newest may not have been to the witnesses yet. Null when none covers `size` records.
 */
export async function bestCheckpoint(store: Pick<Store, "range">, size: number): Promise<KeptCheckpoint | null> {
  let best: KeptCheckpoint | null = null;
  for await (const [, value] of store.range({ ...CHECKPOINTS, reverse: true, limit: LOOKED_AT })) {
    const kept = decodeKept(value);
    if (kept.checkpoint.head.size < size) break;
    if (best === null || signers(kept) > signers(best)) best = kept;
  }
  return best;
}

function signers({ checkpoint }: KeptCheckpoint): number {
  return new Set(checkpoint.note.signatures.map(({ name }) => name)).size;
}
