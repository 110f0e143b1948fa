import { idsToText } from "./ids-to-text.ts";
import type { Step } from "./migration.ts";
import { treeToTiles } from "./tree-to-tiles.ts";

/** From format 1 to format 2: the tree in tiles, and the ids as text once it is. */
export const toFormat2: Step = {
  concerns: (database) => treeToTiles.concerns(database),
  async run(job) {
    await treeToTiles.run(job);
    await idsToText(job.database);
  },
  async salvage(database) {
    await treeToTiles.salvage(database);
    await idsToText(database);
  },
};
