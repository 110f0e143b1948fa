import { generateKeyPairSync } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { VerifyReport } from "../../../../lib/contracts/book.ts";
import { canonicalBytes } from "../../../../lib/ledger/canonical.ts";
import { signCheckpoint } from "../../../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../../../lib/ledger/hash.ts";
import { type LedgerRecord, openRecord } from "../../../../lib/ledger/record.ts";
import { appendLeaf, EMPTY_RANGE } from "../../../../lib/ledger/tree.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { encodeKept } from "../../../../lib/storage/book/checkpoints.ts";
import { encodeHead } from "../../../../lib/storage/book/head-state.ts";
import { HEAD_KEY, keys, seqText } from "../../../../lib/storage/keys.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, inputFor, signer } from "../../../suites/events.ts";
import { GrowingTiles, tileKeyOf, withNode } from "../../../support/tiles.ts";

/*
 * Somebody with the disk in hand: the folder is opened with LevelDB alone and changed behind the book's back.
 */

const SIZE = 21;
const machine = signer("ipc-07");
const keyOf = (name: string) => (name === machine.name ? machine.raw : null);

type Disk = Level<Buffer, Buffer>;
let sound: string;
let folder: string;

beforeAll(async () => {
  sound = await mkdtemp(join(tmpdir(), "rastro-sound-"));
  await withBook(sound, async (book, store) => {
    for (let n = 0; n < SIZE; n += 1) await store.write((tx) => book.append(tx, inputFor(n, machine), idOf(n)));
  });
});
afterAll(() => rm(sound, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-tampered-"));
  await cp(sound, folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

describe("an untouched book", () => {
  it("verifies", async () => {
    expect(await reportAfter(async () => undefined)).toMatchObject({ ok: true, size: SIZE, damaged: [] });
  });
});

describe("a changed byte of a record", () => {
  it.each([0, 1, 7, 8, 15, 16, SIZE - 1])("is named at record %i and nowhere else", async (seq) => {
    const report = await reportAfter((disk) => change(disk, keys.record(seq), flipByte));
    expect(named(report)).toEqual([[seq, "altered", keys.record(seq).toString("hex")]]);
    expect(report.damaged[0]?.expected).not.toBe(report.damaged[0]?.found);
  });

  it("is named where the record still reads as one, in each field", async () => {
    for (const alter of [
      (record: LedgerRecord) => ({ ...record, prev: "0".repeat(64) }),
      (record: LedgerRecord) => ({ ...record, seq: 3 }),
      (record: LedgerRecord) => ({ ...record, event: { ...(record.event as object), payload: { good: 999 } } }),
    ]) {
      await restore();
      const report = await reportAfter((disk) => change(disk, keys.record(9), rewrite(alter)));
      expect(named(report)).toEqual([[9, "altered", keys.record(9).toString("hex")]]);
    }
  });

  it("is named in two neighbours by themselves", async () => {
    const report = await reportAfter(async (disk) => {
      await change(disk, keys.record(5), flipByte);
      await change(disk, keys.record(6), flipByte);
    });
    expect(named(report).map(([seq, kind]) => [seq, kind])).toEqual([
      [5, "altered"],
      [6, "altered"],
    ]);
  });

  it("leaves the others readable and refuses to give this one out", async () => {
    await tamper((disk) => change(disk, keys.record(9), flipByte));
    await withBook(folder, async (book) => {
      expect(book.damage).toBeNull();
      expect(() => book.record(9)).toThrow(expect.objectContaining({ code: "book_damaged" }));
      expect(() => book.prove(9)).toThrow(expect.objectContaining({ code: "book_damaged" }));
      expect(book.record(8)).toMatchObject({ seq: 8 });
      expect(book.prove(10)).toMatchObject({ record: { seq: 10 } });
    });
  });

  it("of a node is no proof any more, for those whose path it is on", async () => {
    await tamper((disk) => change(disk, tileKeyOf(0, 8), (tile) => withNode(tile, 0, 8, Buffer.alloc(32, 7))));
    await withBook(folder, async (book) => {
      expect(() => book.prove(10)).toThrow(expect.objectContaining({ code: "book_damaged" }));
      expect(book.prove(16)).toMatchObject({ record: { seq: 16 } });
      expect(book.record(10)).toMatchObject({ seq: 10 });
    });
  });

  it("of the last record stops the book", async () => {
    const report = await reportAfter((disk) => change(disk, keys.record(SIZE - 1), flipByte));
    expect(report.ok).toBe(false);
    await expectStopped("altered");
  });
});

describe("records that were removed", () => {
  it.each([0, 1, 10, SIZE - 2])("from the middle are named: record %i", async (seq) => {
    const report = await reportAfter((disk) => disk.del(keys.record(seq)));
    expect(named(report)).toEqual([[seq, "missing", keys.record(seq).toString("hex")]]);
  });

  it("are named where their leaf is another as well", async () => {
    const report = await reportAfter(async (disk) => {
      await disk.del(keys.record(10));
      await change(disk, tileKeyOf(0, 10), (tile) => withNode(tile, 0, 10, Buffer.alloc(32)));
    });
    expect(named(report)).toEqual([
      [10, "missing", keys.record(10).toString("hex")],
      [10, "index", tileKeyOf(0, 10).toString("hex")],
    ]);
  });

  it("are named where their tile was removed as well", async () => {
    const report = await reportAfter(async (disk) => {
      await disk.del(keys.record(10));
      await disk.del(tileKeyOf(0, 10));
    });
    expect(named(report)).toEqual([
      [0, "index", tileKeyOf(0, 10).toString("hex")],
      [10, "missing", keys.record(10).toString("hex")],
    ]);
  });

  it("are named where one was altered, and their tile was removed as well", async () => {
    const report = await reportAfter(async (disk) => {
      await change(disk, keys.record(10), flipByte);
      await disk.del(tileKeyOf(0, 10));
    });
    expect(named(report)).toEqual([
      [0, "index", tileKeyOf(0, 10).toString("hex")],
      [10, "altered", keys.record(10).toString("hex")],
    ]);
  });

  it.each([1, 5, SIZE])("from the tail are named at the first of %i", async (count) => {
    const first = SIZE - count;
    const report = await reportAfter((disk) => removeRecords(disk, first));
    expect(named(report)).toEqual([[first, "truncated", keys.record(first).toString("hex")]]);
    await expectStopped("truncated");
  });

  it.each([1, 5, SIZE])(
    "from the tail with all that tells of them, the last %i, are known to the head note",
    async (count) => {
      const first = SIZE - count;
      const report = await reportAfter((disk) => cutWhole(disk, first));
      expect(named(report)).toEqual([[first, "truncated", keys.record(first).toString("hex")]]);
      await expectStopped("truncated");
    },
  );
});

describe("records that were exchanged, added or rewritten", () => {
  it("are named where two changed places", async () => {
    const report = await reportAfter(async (disk) => {
      const [third, fourth] = [await disk.get(keys.record(3)), await disk.get(keys.record(4))];
      await disk.put(keys.record(3), fourth);
      await disk.put(keys.record(4), third);
    });
    expect(named(report).map(([seq, kind]) => [seq, kind])).toEqual([
      [3, "reordered"],
      [4, "reordered"],
    ]);
    expect(report.damaged[0]).toMatchObject({ expected: "record 3", found: "record 4" });
  });

  it("are named where one was removed and the others closed up", async () => {
    const report = await reportAfter(async (disk) => {
      for (let seq = 15; seq < SIZE - 1; seq += 1)
        await disk.put(keys.record(seq), await disk.get(keys.record(seq + 1)));
      await disk.del(keys.record(SIZE - 1));
    });
    expect(named(report).map(([seq, kind]) => [seq, kind])).toEqual([
      ...[15, 16, 17, 18, 19].map((seq) => [seq, "reordered"]),
      [SIZE - 1, "truncated"],
    ]);
  });

  it("are named where a signature was taken off", async () => {
    const report = await reportAfter((disk) =>
      rewriteAll(
        disk,
        9,
        rewrite((record) => ({ ...record, sig: null })),
      ),
    );
    expect(named(report)[0]).toEqual([9, "unsigned", keys.record(9).toString("hex")]);
    expect(report.damaged[0]).toMatchObject({ expected: "a signature of ipc-07", found: "nothing" });
  });

  it("are named where one was added behind the head", async () => {
    const report = await reportAfter(async (disk) => disk.put(keys.record(SIZE), await disk.get(keys.record(3))));
    expect(named(report)).toContainEqual([SIZE, "index", HEAD_KEY.toString("hex")]);
    await expectStopped("index");
  });

  it.each([8, 9, SIZE - 2])("are named where the leaf was made to fit: record %i", async (seq) => {
    const report = await reportAfter((disk) => rewriteWithLeaf(disk, seq));
    expect(named(report)).toEqual([
      [seq, "index", tileKeyOf(0, seq).toString("hex")],
      [seq, "altered", keys.record(seq).toString("hex")],
    ]);
  });

  it("are named where the tree was made to fit, but not the chain", async () => {
    const report = await reportAfter(async (disk) => {
      await change(disk, keys.record(9), moreGood);
      await rebuildTree(disk, SIZE);
    });
    expect(named(report)).toEqual([
      [10, "broken-chain", keys.record(10).toString("hex")],
      [9, "bad-signature", keys.record(9).toString("hex")],
      [SIZE - 1, "forked", Buffer.from("head.note").toString("hex")],
    ]);
  });

  it("are known to the head note where everything was made to fit", async () => {
    const report = await reportAfter((disk) => rewriteAll(disk, 9));
    expect(named(report)).toEqual([
      [9, "bad-signature", keys.record(9).toString("hex")],
      [SIZE - 1, "forked", Buffer.from("head.note").toString("hex")],
    ]);
    await expectStopped("forked");
  });

  it("are known to the checkpoints that are kept", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const keep = (disk: Disk, size: number, root: Buffer) =>
      disk.put(
        keys.checkpoint(size),
        encodeKept({ madeAt: 1, note: signCheckpoint({ origin: "test/production", size, root }, [privateKey]) }),
      );
    const other = await reportAfter((disk) => keep(disk, 12, Buffer.alloc(32, 5)));
    expect(named(other)).toEqual([[11, "forked", keys.checkpoint(12).toString("hex")]]);
    await restore();
    const newer = await reportAfter((disk) => keep(disk, SIZE + 4, Buffer.alloc(32, 5)));
    expect(named(newer)).toEqual([[SIZE, "truncated", keys.record(SIZE).toString("hex")]]);
    expect(newer.damaged[0]).toMatchObject({ expected: `${SIZE + 4} records by a checkpoint` });
  });

  it("are named where bytes that are no record were booked", async () => {
    const report = await reportAfter((disk) => rewriteAll(disk, 9, () => Buffer.from('{"seq": 9}')));
    expect(named(report)).toContainEqual([9, "not-canonical", keys.record(9).toString("hex")]);
  });

  it("are named where a number does not follow", async () => {
    const report = await reportAfter((disk) =>
      rewriteAll(
        disk,
        9,
        rewrite((record) => ({ ...record, seq: 7 })),
      ),
    );
    expect(named(report)).toContainEqual([9, "broken-chain", keys.record(9).toString("hex")]);
  });

  it("are named where the first follows something", async () => {
    const report = await reportAfter((disk) =>
      rewriteAll(
        disk,
        0,
        rewrite((record) => ({ ...record, prev: "1".repeat(64) })),
      ),
    );
    expect(named(report)).toContainEqual([0, "broken-chain", keys.record(0).toString("hex")]);
  });
});

describe("what was built from the records", () => {
  it.each([
    ["a leaf", 0, 13, 13],
    ["the node over the first sixteen", 4, 0, 0],
  ])("is named: %s", async (_name, level, index, seq) => {
    const key = tileKeyOf(level, index);
    const report = await reportAfter((disk) =>
      change(disk, key, (tile) => withNode(tile, level, index, Buffer.alloc(32, 7))),
    );
    expect(named(report)).toEqual([[seq, "index", key.toString("hex")]]);
  });

  it.each([
    ["of leaves", 0, 1, 16],
    ["above them", 1, 0, 0],
  ])("is named once: a tile %s that is gone, or too short", async (_name, level, index, seq) => {
    const key = keys.tile(level, index);
    for (const harm of [
      (disk: Disk) => disk.del(key),
      (disk: Disk) => change(disk, key, (tile) => tile.subarray(0, -1)),
    ]) {
      await restore();
      const report = await reportAfter(harm);
      expect(named(report)).toHaveLength(1);
      expect(report.damaged[0]).toMatchObject({ kind: "index", key: key.toString("hex"), found: "nothing" });
      expect(report.damaged[0]?.seq).toBeGreaterThanOrEqual(seq);
    }
  });

  it("is named: an id that leads elsewhere or nowhere", async () => {
    const key = keys.id(idOf(13));
    expect(named(await reportAfter((disk) => disk.put(key, seqText(4))))).toEqual([[13, "index", key.toString("hex")]]);
    expect(named(await reportAfter((disk) => disk.del(key)))).toEqual([[13, "index", key.toString("hex")]]);
    await restore();
    const wrong = Buffer.from("013");
    expect(named(await reportAfter((disk) => disk.put(key, wrong)))).toEqual([[13, "index", key.toString("hex")]]);
  });

  it("is named: a head that is gone, is no head, or has another tip or range", async () => {
    const head = HEAD_KEY.toString("hex");
    const harms = [
      (disk: Disk) => disk.del(HEAD_KEY),
      (disk: Disk) => disk.put(HEAD_KEY, Buffer.from("nonsense")),
      (disk: Disk) => change(disk, HEAD_KEY, (bytes) => flipAt(bytes, 10)),
      (disk: Disk) => change(disk, HEAD_KEY, (bytes) => flipAt(bytes, 50)),
      (disk: Disk) => change(disk, HEAD_KEY, (bytes) => flipAt(bytes, 7)),
    ];
    for (const harm of harms) {
      await restore();
      const report = await reportAfter(harm);
      expect(named(report).map(([, , key]) => key)).toContain(head);
      expect(named(report).filter(([, kind]) => kind === "altered" || kind === "missing")).toEqual([]);
      await expectStopped("(index|altered|truncated|forked)");
    }
  });
});

async function restore(): Promise<void> {
  await rm(folder, { recursive: true });
  await cp(sound, folder, { recursive: true });
}

async function withBook<T>(at: string, use: (book: Book, store: Store) => Promise<T>): Promise<T> {
  const store = await Store.openFolder(join(at, "store"));
  try {
    const book = await Book.open({
      store,
      name: "production",
      origin: "test/production",
      headNote: join(at, "head.note"),
    });
    try {
      return await use(book, store);
    } finally {
      await book.close();
    }
  } finally {
    await store.close();
  }
}

async function tamper(harm: (disk: Disk) => Promise<unknown>): Promise<void> {
  const disk: Disk = new Level(join(folder, "store"), { keyEncoding: "buffer", valueEncoding: "buffer" });
  await disk.open();
  await harm(disk);
  await disk.close();
}

async function reportAfter(harm: (disk: Disk) => Promise<unknown>): Promise<VerifyReport> {
  await tamper(harm);
  return withBook(folder, (book) => book.verify({ keyOf }));
}

async function expectStopped(kind: string): Promise<void> {
  await withBook(folder, async (book, store) => {
    expect(book.damage).toMatch(new RegExp(`^${kind}: `));
    const append = store.write((tx) => book.append(tx, inputFor(99, machine), idOf(99)));
    await expect(append).rejects.toMatchObject({ code: "book_damaged" });
  });
}

function named(report: VerifyReport): [number, string, string][] {
  expect(report.ok).toBe(report.damaged.length === 0);
  expect(report.damagedCount).toBe(report.damaged.length);
  return report.damaged.map(({ seq, kind, key }) => [seq, kind, key]);
}

async function change(disk: Disk, key: Buffer, how: (bytes: Buffer) => Buffer): Promise<void> {
  await disk.put(key, how(await disk.get(key)));
}

function flipByte(bytes: Buffer): Buffer {
  return flipAt(bytes, Math.floor(bytes.length / 2));
}

function flipAt(bytes: Buffer, at: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
  return flipped;
}

function rewrite(how: (record: LedgerRecord) => unknown): (bytes: Buffer) => Buffer {
  return (bytes) => canonicalBytes(how(openRecord(bytes)));
}

async function removeRecords(disk: Disk, first: number): Promise<void> {
  for (let seq = first; seq < SIZE; seq += 1) await disk.del(keys.record(seq));
}

/** Puts the store back to what it was at `size`, head, nodes and ids included. */
async function cutWhole(disk: Disk, size: number): Promise<void> {
  await removeRecords(disk, size);
  for (let seq = size; seq < SIZE; seq += 1) await disk.del(keys.id(idOf(seq)));
  for await (const [key] of disk.iterator({ gte: Buffer.from("n"), lt: Buffer.from("o") })) await disk.del(key);
  await rebuildTree(disk, size);
}

async function rebuildTree(disk: Disk, size: number): Promise<void> {
  const tiles = new GrowingTiles();
  let state = { range: EMPTY_RANGE, tip: null as Buffer | null };
  for (let seq = 0; seq < size; seq += 1) {
    const leaf = leafHash(await disk.get(keys.record(seq)));
    const { range, completed } = appendLeaf(state.range, leaf);
    tiles.add(completed);
    state = { range, tip: leaf };
  }
  for (const { key, value } of tiles.rows()) await disk.put(key, value);
  if (size === 0) await disk.del(HEAD_KEY);
  else await disk.put(HEAD_KEY, encodeHead(state));
}

const moreGood = rewrite((record) => ({ ...record, event: { ...(record.event as object), payload: { good: 999 } } }));

async function rewriteWithLeaf(disk: Disk, seq: number): Promise<void> {
  await change(disk, keys.record(seq), moreGood);
  const leaf = leafHash(await disk.get(keys.record(seq)));
  await change(disk, tileKeyOf(0, seq), (tile) => withNode(tile, 0, seq, leaf));
}

/** Rewrites one record and all that follows from it, as whoever holds the disk could. */
async function rewriteAll(disk: Disk, first: number, how: (bytes: Buffer) => Buffer = moreGood): Promise<void> {
  await change(disk, keys.record(first), how);
  for (let seq = first + 1; seq < SIZE; seq += 1) {
    const prev = leafHash(await disk.get(keys.record(seq - 1))).toString("hex");
    await change(
      disk,
      keys.record(seq),
      rewrite((record) => ({ ...record, prev })),
    );
  }
  await rebuildTree(disk, SIZE);
}
