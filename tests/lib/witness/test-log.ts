import { formatAddCheckpoint } from "../../../lib/ledger/add-checkpoint.ts";
import { signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../../lib/ledger/hash.ts";
import { rawPublicKey } from "../../../lib/ledger/signature.ts";
import { formatVerifierKey, SIGNATURE_TYPES, verifierKey } from "../../../lib/ledger/signed-note.ts";
import { appendLeaf, consistencyPath, EMPTY_RANGE, rangeOf, rootOf } from "../../../lib/ledger/tree.ts";
import { keyOfSeed } from "../ledger/keys.ts";

export const ORIGIN = "plant-1/audit";
export const LOG_KEY = verifierKey(ORIGIN, SIGNATURE_TYPES.ed25519, rawPublicKey(keyOfSeed(1)));
export const LOG_VKEY = formatVerifierKey(LOG_KEY);

/** One history that a log may have: its records up to `fork` are the same for every word. */
export function history(word: string, o: { size: number; fork?: number; origin?: string; seed?: number }) {
  const { size, fork = 0, origin = ORIGIN, seed = 1 } = o;
  const nodes = new Map<string, Buffer>();
  let range = EMPTY_RANGE;
  for (let seq = 0; seq < size; seq += 1) {
    const grown = appendLeaf(range, leafHash(Buffer.from(`${seq < fork ? "same" : word}${seq}`)));
    range = grown.range;
    for (const { level, index, hash } of grown.completed) nodes.set(`${level}/${index}`, hash);
  }
  const node = (level: number, index: number) => nodes.get(`${level}/${index}`) as Buffer;
  const root = (at: number) => rootOf(rangeOf(at, node));
  const signed = new Map<number, string>();
  const checkpoint = (at: number) => {
    const note = signed.get(at) ?? signCheckpoint({ origin, size: at, root: root(at) }, [keyOfSeed(seed)]);
    signed.set(at, note);
    return note;
  };
  return {
    root,
    checkpoint,
    /** An honest request from one size to another. */
    request: (old: number, at: number) =>
      formatAddCheckpoint({
        old,
        proof: old <= at ? consistencyPath(old, at, node) : [],
        checkpoint: checkpoint(at),
      }),
  };
}
