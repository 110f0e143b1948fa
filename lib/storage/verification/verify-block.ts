import type { BlockCheck } from "../../ledger/block-check.ts";
import {
  SignatureCheck,
  type CheckedSignatures,
  type SignedPart,
  type SignerKeys,
} from "../../ledger/signature-check.ts";
import type { SoundBlock } from "../../ledger/walk.ts";
import type { Database, KeyRange, RowForm } from "../level/database.ts";
import { IdSums } from "./id-sums.ts";
import { keys, RECORDS, TILES } from "../keys.ts";
import { RunReader } from "./run-reader.ts";

/** Records of a block: a power of two, so that a block is one subtree. */
export const BLOCK_RECORDS = 8192;
/** Bytes that are read ahead. */
const READ_AHEAD = 1024 * 1024;

/** The rows of blocks, each kind read by an iterator of its own. */
export type BlockRuns = { records: RunReader<string>; tiles: RunReader<Buffer> };

export function openRuns(database: Pick<Database, "iterator">): BlockRuns {
  return {
    records: new RunReader<string>(database, { ...RECORDS, ...TEXTS }),
    tiles: new RunReader<Buffer>(database, { ...TILES, ...HASHES }),
  };
}

/** Lets the iterators go. */
export async function closeRuns({ records, tiles }: BlockRuns): Promise<void> {
  await Promise.all([records.close(), tiles.close()]);
}

/** What a block check reads and asks. */
export type BlockSource = {
  database: Pick<Database, "iterator">;
  runs: BlockRuns;
  check: BlockCheck;
  keys: SignerKeys;
  /** Sees to it that `keys` has what there is of these names. */
  fetchKeys: (names: string[]) => Promise<void>;
  seeds: readonly [number, number];
  /** Rows that are read and looked at in one go: how long other work of this thread has to wait. */
  batch: number;
  /** Asked after each batch, on a thread that has other work to do. */
  letOthersIn?: () => Promise<void>;
};

/** What is known of a sound block. */
export type BlockOutcome = { block: SoundBlock; signatures: CheckedSignatures; ids: IdSums["sums"] };

/**
 * Reads the records of a block and all nodes above them, each once and in order.
 *
 * @returns null when anything in it is not as it should be, or cannot be read.
 */
export async function checkBlock(o: BlockSource, first: number, count: number): Promise<BlockOutcome | null> {
  try {
    return await checkRows(o, first, count);
  } catch {
    // LevelDB could not read a part of it: the walk asks for each record by itself and says which.
    await closeRuns(o.runs).catch(() => undefined);
    return null;
  }
}

async function checkRows(o: BlockSource, first: number, count: number): Promise<BlockOutcome | null> {
  const { check } = o;
  const signatures = new SignatureCheck(o.keys);
  const ids = new IdSums(o.seeds);
  check.begin(first);
  for await (const rows of o.runs.records.read(keys.record(first), count, o)) {
    const signed: SignedPart[] = [];
    for (const [, text] of rows) {
      const parts = check.addRecord(text);
      if (parts === null || !ids.addText(parts.id, parts.seq)) return null;
      signed.push(parts.signed);
    }
    if (!(await checkSignatures(o, signatures, signed))) return null;
  }
  if (check.records !== count || !(await checkTiles(o))) return null;
  return { block: check.sound(), signatures: signatures.counts, ids: ids.sums };
}

async function checkSignatures(o: BlockSource, signatures: SignatureCheck, signed: SignedPart[]): Promise<boolean> {
  const names = new Set<string>();
  for (const { sig, source } of signed) {
    const name = sig?.by ?? source;
    if (name !== null) names.add(name);
  }
  await o.fetchKeys([...names]);
  return signed.every((part) => signatures.faultOf(part) === null);
}

async function checkTiles(o: BlockSource): Promise<boolean> {
  const { check } = o;
  for (let due = check.tilesDue; due !== null; due = check.tilesDue) {
    for await (const rows of o.runs.tiles.read(keys.tile(due.level, due.first), due.end - due.first, o)) {
      for (const [, tile] of rows) if (!check.addTile(tile)) return false;
    }
    if (!check.closeLevel()) return false;
  }
  return true;
}

/**
 * Adds up the ids of a range of rows that lead to records before `size`.
 *
 * @throws when a part cannot be read.
 */
export async function sumIds(
  o: Pick<BlockSource, "database" | "seeds" | "batch" | "letOthersIn">,
  range: KeyRange,
  size: number,
): Promise<IdSums["sums"]> {
  const ids = new IdSums(o.seeds);
  const reader = new RunReader<string, string>(o.database, { ...range, ...ID_TEXTS });
  try {
    for await (const rows of reader.read(range.gte, Number.POSITIVE_INFINITY, o)) {
      for (const [key, value] of rows) ids.addRow(key, value, size);
    }
    return ids.sums;
  } finally {
    await reader.close();
  }
}

const TEXTS: RowForm = { keys: false, valueEncoding: "utf8", highWaterMarkBytes: READ_AHEAD };
const ID_TEXTS: RowForm = { keyEncoding: "utf8", valueEncoding: "utf8", highWaterMarkBytes: READ_AHEAD };
const HASHES: RowForm = { keys: false, highWaterMarkBytes: READ_AHEAD };
