import { nodesIn, type TileReader } from "../../ledger/tiles.ts";
import type { NodeReader } from "../../ledger/tree.ts";
import { keys } from "../keys.ts";
import type { Store } from "../store/store.ts";

/** The tiles of a store, as they are on disk. */
export function storedTiles(store: Pick<Store, "getNow">): TileReader {
  return (level, index) => store.getNow(keys.tile(level, index));
}

/**
 * The nodes of the tree of a store's book, for one piece of work.
 *
 * @param missing - what is thrown for one that is not there.
 */
export function storedNodes(
  store: Pick<Store, "getNow">,
  missing: (level: number, index: number) => Error = missingNode,
): NodeReader {
  return nodesIn(storedTiles(store), missing);
}

function missingNode(level: number, index: number): Error {
  return new RangeError(`node ${index} of level ${level} is missing`);
}
