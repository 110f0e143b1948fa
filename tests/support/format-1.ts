import { createHash } from "node:crypto";
import { appendLeaf, EMPTY_RANGE } from "../../lib/ledger/tree.ts";
import type { Database, Operation } from "../../lib/storage/level/database.ts";
import { encodeHead } from "../../lib/storage/book/head-state.ts";

/*
 * Stores as format 1 had them: a row for each node of the tree, ids and numbers of records as bytes. Written by itself, from the words of docs/ledger-format.md,
 * so that a migration is tried on what older versions left and not on what this one writes.
 */

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export const leafOf = (bytes: Uint8Array): Buffer => sha256(Buffer.of(0), bytes);
const nodeOf = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);

/** The perfect subtrees of each level, as many as are whole. */
export function levelsOf(leaves: readonly Buffer[]): Buffer[][] {
  const levels: Buffer[][] = [];
  for (let level = [...leaves]; level.length > 0;) {
    levels.push(level);
    const below = level;
    level = Array.from({ length: below.length >> 1 }, (_, at) =>
      nodeOf(below[2 * at] as Buffer, below[2 * at + 1] as Buffer),
    );
  }
  return levels;
}

/** RFC 9162 §2.1.1, word for word. */
export function rootOver(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0] as Buffer;
  let split = 1;
  while (2 * split < leaves.length) split *= 2;
  return nodeOf(rootOver(leaves.slice(0, split)), rootOver(leaves.slice(split)));
}

/** The tiles of format 2, in the order of their keys: level, index, and the hashes one behind the other. */
export function tilesOver(leaves: readonly Buffer[]): [level: number, index: number, bytes: string][] {
  const tiles: [number, number, string][] = [];
  levelsOf(leaves).forEach((hashes, level) => {
    if (level % 4 !== 0) return;
    for (let at = 0; at < hashes.length; at += 16)
      tiles.push([level / 4, at / 16, Buffer.concat(hashes.slice(at, at + 16)).toString("hex")]);
  });
  return tiles;
}

export function treeKey(level: number, index: number, letter = "n"): Buffer {
  const key = Buffer.alloc(10);
  key.write(letter);
  key[1] = level;
  key.writeBigUInt64BE(BigInt(index), 2);
  return key;
}

/** Every row under a letter. */
export async function rowsUnder(database: Pick<Database, "iterator">, letter: string): Promise<[Buffer, Buffer][]> {
  const gte = Buffer.from(letter);
  const lt = Buffer.of((gte[0] as number) + 1);
  const iterator = database.iterator({ gte, lt });
  const rows: [Buffer, Buffer][] = [];
  for (let more = await iterator.nextv(1000); more.length > 0; more = await iterator.nextv(1000)) rows.push(...more);
  await iterator.close();
  return rows;
}

/** The leaves of the records of a store. */
export async function leavesIn(database: Pick<Database, "iterator">): Promise<Buffer[]> {
  return (await rowsUnder(database, "r")).map(([, bytes]) => leafOf(bytes));
}

/** Makes a store of now, in which a book lies, one of format 1. @param leaves - those of its records when left out. */
export async function toFormat1(database: Database, leaves?: readonly Buffer[]): Promise<void> {
  const dels = (await rowsUnder(database, "n")).map(([key]): Operation => ({ type: "del", key }));
  const puts = levelsOf(leaves ?? (await leavesIn(database))).flatMap((hashes, level) =>
    hashes.map((value, index): Operation => ({ type: "put", key: treeKey(level, index), value })),
  );
  const ids = (await rowsUnder(database, "d")).flatMap(([key, value]): Operation[] => {
    const id = Buffer.from(key.toString("latin1", 1).replaceAll("-", ""), "hex");
    const seq = Buffer.alloc(8);
    seq.writeBigUInt64BE(BigInt(value.toString()));
    return [
      { type: "del", key },
      { type: "put", key: Buffer.concat([Buffer.from("d"), id]), value: seq },
    ];
  });
  const number: Operation = { type: "put", key: Buffer.from("m/format"), value: Buffer.from("1") };
  await database.batch([...dels, ...puts, ...ids, number], { sync: true });
}

/** Writes a tree of format 1 and its head, without the records. @returns its leaves. */
export async function treeOf(database: Database, size: number): Promise<Buffer[]> {
  const leaves = Array.from({ length: size }, (_, n) => leafOf(Buffer.from(String(n))));
  let range = EMPTY_RANGE;
  for (const leaf of leaves) range = appendLeaf(range, leaf).range;
  const head = encodeHead({ range, tip: leaves.at(-1) as Buffer });
  await database.batch([{ type: "put", key: Buffer.from("m/head"), value: head }], { sync: true });
  await toFormat1(database, leaves);
  return leaves;
}

/** The tiles of a store, as {@link tilesOver} has them. */
export async function tilesIn(database: Pick<Database, "iterator">): Promise<[number, number, string][]> {
  const rows = await rowsUnder(database, "n");
  return rows.map(([key, value]) => [key[1] as number, Number(key.readBigUInt64BE(2)), value.toString("hex")]);
}
