import { HASH_LENGTH } from "../../ledger/hash.ts";
import { TILE_HEIGHT, tileOf } from "../../ledger/tiles.ts";
import type { Database, Operation } from "../level/database.ts";
import { FORMAT_KEY, HEAD_KEY, readU64 } from "../keys.ts";
import { readMark } from "./mark.ts";
import type { Job, Step } from "./migration.ts";
import {
  changeRows,
  hasRows,
  levelRows,
  PLACED_ROWS,
  placedKey,
  placeOf,
  rowsOf,
  STAGED_ROWS,
  stagedKey,
} from "./rows.ts";
import { hashesOf, type Tile, TileFold } from "./tile-fold.ts";

/** Leaves that a batch folds into tiles. */
const LEAVES_TOGETHER = 2048;
/** More than a tree of so many leaves as can be counted has. */
const LEVELS = 64;
/** Bytes of a node's key. */
const PLACED_LENGTH = 10;

/**
 * The tree, from format 1, which had a row for each node of it, to format 2, which has tiles of 16 hashes under keys of the
 * same form. The tiles are made from the leaves beside the nodes, read back, and compared with the head; only then the
 * nodes go. From there on the store is of neither format, and says so, until the tiles are in their place.
 */
export const treeToTiles: Step = {
  async concerns(database) {
    return database.getSync(HEAD_KEY) !== undefined || hasRows(database, PLACED_ROWS);
  },
  async run(job) {
    if (job.mark.progress.phase === "new") {
      await makeTiles(job);
      await job.advance({ phase: "drop", done: 0 }, [put(FORMAT_KEY, Buffer.from("1to2"))]);
    }
    if (job.mark.progress.phase === "drop") {
      await dropNodes(job);
      await job.advance({ phase: "move", done: 0 });
    }
    await moveTiles(job.database);
    await requireTiles(job, placedKey);
  },
  async salvage(database) {
    const isWhole = database.getSync(FORMAT_KEY)?.toString() === "1";
    const phase = isWhole ? "new" : (readMark(database)?.progress.phase ?? "move");
    if (phase === "new") await packNodes(database);
    if (phase !== "move") await changeRows(database, PLACED_ROWS, (key) => [del(key)]);
    await moveTiles(database);
  },
};

/** @throws RangeError with no tile left where they do not give what the head says. */
async function makeTiles(job: Job): Promise<void> {
  try {
    await stageTiles(job);
    await requireTiles(job, stagedKey);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    await removeStaged(job);
    throw thrown;
  }
}

/** Goes on behind the last leaf of which the tiles are on disk. */
async function stageTiles(job: Job): Promise<void> {
  const { database, mark } = job;
  const fold = foldSoFar(job) ?? new TileFold();
  if (fold.size === 0) await removeStaged(job);
  let whole: Tile[] = [];
  const flush = async () => {
    const operations = [...whole, ...fold.partial()].map(({ level, index, bytes }) =>
      put(stagedKey(level, index), bytes),
    );
    whole = [];
    await job.advance({ phase: "new", done: fold.size }, operations);
    job.onProgress("new", fold.size, mark.size);
  };
  for await (const leaf of leavesFrom(database, fold.size)) {
    whole.push(...fold.add(leaf));
    if (fold.size % LEAVES_TOGETHER === 0) await flush();
  }
  await flush();
}

/** Null where what an earlier start has left is not what it noted: it is made again. */
function foldSoFar({ database, mark }: Job): TileFold | null {
  return TileFold.after(mark.progress.done, (level, index) => database.getSync(stagedKey(level, index)));
}

async function removeStaged(job: Job): Promise<void> {
  await job.advance({ phase: "new", done: 0 });
  await changeRows(job.database, STAGED_ROWS, (key) => [del(key)]);
}

/** The leaves of a tree in format 1. @throws RangeError where one is missing or is no hash. */
async function* leavesFrom(database: Database, from: number): AsyncGenerator<Buffer, void, undefined> {
  let expected = from;
  for await (const [key, leaf] of rowsOf(database, levelRows(placedKey, 0, from))) {
    if (key.length !== PLACED_LENGTH || readU64(key, 2) !== expected)
      throw new RangeError(`leaf ${expected} of the tree is missing`);
    if (leaf.length !== HASH_LENGTH) throw new RangeError(`leaf ${expected} of the tree is no hash`);
    yield leaf;
    expected += 1;
  }
}

/** Recomputes every tile from the lowest ones on disk. @throws RangeError where one differs, or the root from the head's. */
async function requireTiles(job: Job, key: typeof placedKey): Promise<void> {
  const { database, mark, onProgress } = job;
  const fold = new TileFold();
  let tiles = 0;
  const require = ({ level, index, bytes }: Tile) => {
    if (database.getSync(key(level, index))?.equals(bytes) !== true)
      throw new RangeError(`tile ${index} of level ${level} is not what lies below it`);
    tiles += 1;
  };
  for await (const [, bytes] of rowsOf(database, levelRows(key, 0))) {
    for (const hash of hashesOf(bytes) ?? []) fold.add(hash).forEach(require);
    onProgress("compare", Math.min(fold.size, mark.size), mark.size);
  }
  fold.partial().forEach(require);
  requireHead(mark, fold);
  await requireNoOther(database, key, tiles);
}

function requireHead({ size, root }: Job["mark"], fold: TileFold): void {
  const found = fold.root().toString("hex");
  if (fold.size === size && found === root) return;
  throw new RangeError(
    `the ${fold.size} leaves of the tree give the root ${found}, and the book's head has ${root} over ${size} records`,
  );
}

async function requireNoOther(database: Database, key: typeof placedKey, expected: number): Promise<void> {
  let rows = 0;
  for await (const _row of rowsOf(database, key === placedKey ? PLACED_ROWS : STAGED_ROWS)) rows += 1;
  if (rows !== expected) throw new RangeError(`the tree has ${rows} tiles, expected ${expected}`);
}

async function dropNodes({ database, mark, onProgress }: Job): Promise<void> {
  // A tree of so many leaves has hardly twice as many nodes.
  const of = 2 * mark.size;
  await changeRows(
    database,
    PLACED_ROWS,
    (key) => [del(key)],
    (rows) => onProgress("place", Math.min(rows, of), of),
  );
}

async function moveTiles(database: Database): Promise<void> {
  await changeRows(database, STAGED_ROWS, (key, tile) => [put(placeOf(key), tile), del(key)]);
}

/**
 * Puts the nodes of each level that is kept into tiles as they are. Where one is missing there are zeros; no tile where all
 * of them are.
 */
async function packNodes(database: Database): Promise<void> {
  await changeRows(database, STAGED_ROWS, (key) => [del(key)]);
  for (let level = 0; level < LEVELS; level += TILE_HEIGHT) {
    const pack = packer(level);
    await changeRows(database, levelRows(placedKey, level), pack);
  }
}

/** Of each node, in their order: its tile with it and those before it. The last of a tile writes it whole. */
function packer(level: number): (key: Buffer, hash: Buffer) => Operation[] {
  let tile = { index: -1, bytes: Buffer.alloc(0) };
  return (key, hash) => {
    // Beyond that no number is safe, and what is there is no key of a node.
    if (key.length !== PLACED_LENGTH || hash.length !== HASH_LENGTH || key.readUInt16BE(2) > 0x1f) return [];
    const { index, at, level: tileLevel } = tileOf(level, readU64(key, 2));
    const before = tile.index === index ? tile.bytes : Buffer.alloc(0);
    const gap = Buffer.alloc(Math.max(0, at * HASH_LENGTH - before.length));
    tile = { index, bytes: Buffer.concat([before, gap, hash]) };
    return [put(stagedKey(tileLevel, index), tile.bytes)];
  };
}

function put(key: Buffer, value: Buffer): Operation {
  return { type: "put", key, value };
}

function del(key: Buffer): Operation {
  return { type: "del", key };
}
