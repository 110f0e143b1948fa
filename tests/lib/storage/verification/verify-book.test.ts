import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { VerifyReport } from "../../../../lib/contracts/book.ts";
import { parseHeadNote } from "../../../../lib/ledger/head-note.ts";
import { leafHash } from "../../../../lib/ledger/hash.ts";
import { verifyRecords } from "../../../../lib/ledger/verify.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { decodeHead } from "../../../../lib/storage/book/head-state.ts";
import { HEAD_KEY, keys, readSeqText, seqText, u64, VERIFIED_KEY } from "../../../../lib/storage/keys.ts";
import { placeKey } from "../../../../lib/storage/verification/place-key.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { BLOCK_RECORDS } from "../../../../lib/storage/verification/verify-block.ts";
import { idOf, inputFor, signer } from "../../../suites/events.ts";
import { writeLargeBook } from "../../../support/large-book.ts";
import { random } from "../../../support/random.ts";
import { tileKeyOf, withNode } from "../../../support/tiles.ts";
import { storedTiles } from "../../../../lib/storage/book/stored-tiles.ts";

/*
 * A book of several blocks, verified here and on threads: whatever is done to it, what is found is what a walk of every
 * record finds.
 */

const SIZE = 2 * BLOCK_RECORDS + 5000;
const ORIGIN = "test/production";
const machine = signer("ipc-07");
/** Only every hundredth is signed: signing all would take longer than the rest of the test. */
const inputOf = (n: number) => {
  const input = inputFor(n, n % 100 === 0 ? machine : null);
  return n % 100 === 0 ? input : { ...input, added: { ...input.added, flags: ["unsigned"] } };
};
const keyOf = (name: string) => (name === machine.name ? machine.raw : null);

type Disk = Level<Buffer, Buffer>;
let home: string;
let sound: string;
let folder: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "rastro-blocks-"));
  sound = join(home, "sound");
  await writeLargeBook(sound, { size: SIZE, origin: ORIGIN, inputOf, idOf });
}, 120_000);
afterAll(() => rm(home, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(home, "book-"));
  await cp(sound, folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each([0, 2])(
  "a book of several blocks, verified on %i threads of its own",
  { timeout: 120_000 },
  (threads) => {
    it("is whole when it is", async () => {
      const done: number[] = [];
      const report = await verify({ threads, onProgress: (at) => done.push(at) });
      expect(report).toMatchObject({ ok: true, from: 0, size: SIZE, damaged: [] });
      expect(report.signatures).toEqual({
        checked: Math.ceil(SIZE / 100),
        unsigned: SIZE - Math.ceil(SIZE / 100),
        unknownKey: 0,
      });
      expect(report.root).toBe(parseHeadNote(await readFile(join(folder, "head.note"), "utf8")).root.toString("hex"));
      expect(done.at(-1)).toBe(SIZE);
      expect(done).toEqual(done.toSorted((left, right) => left - right));
    });

    it.each([1, 2, 3])("is told of as a walk of every record tells it, after harms of seed %i", async (seed) => {
      const pick = random(seed);
      await tamper(async (disk) => {
        for (let harms = 0; harms < 6; harms += 1) await HARMS[pick.below(HARMS.length)]?.(disk, placeOf(pick));
      });
      const report = await verify({ threads });
      const expected = await walkAll();
      expect(expected.length).toBeGreaterThan(0);
      // The walk does not look for ids that lead to a record of another id.
      expect(namedIn(report).filter((line) => !line.endsWith("which has another id"))).toEqual(expected);
    });

    it("names a signature that was taken off or does not fit, and ids that lead nowhere", async () => {
      await tamper(async (disk) => {
        await disk.put(keys.id("0193f3a0-0000-7000-8000-ffffffffffff"), seqText(5));
        await disk.del(keys.id(idOf(BLOCK_RECORDS + 7)));
      });
      const report = await verify({ threads });
      expect(report.damaged.map(({ seq, kind }) => [seq, kind])).toEqual([
        [BLOCK_RECORDS + 7, "index"],
        [5, "index"],
      ]);
      expect(report.damaged[1]).toMatchObject({ expected: "nothing", found: "record 5, which has another id" });
    });
  },
);

describe("a verification from a record on", () => {
  it("reads from the block of that record, and takes the rest from the tree", async () => {
    await tamper((disk) => harmRecord(disk, 17));
    const after = await verify({ threads: 0, from: BLOCK_RECORDS + 5 });
    expect(after).toMatchObject({ ok: true, from: BLOCK_RECORDS, size: SIZE });
    expect(after.signatures.checked + after.signatures.unsigned).toBe(SIZE - BLOCK_RECORDS);
    expect(await verify({ threads: 0, from: 1 })).toMatchObject({ ok: false, from: 0, damaged: [{ seq: 17 }] });
  });

  it("names what does not follow on the record before", async () => {
    await tamper(async (disk) => {
      await harmNode(disk, 0, BLOCK_RECORDS - 1, Buffer.alloc(32, 7));
    });
    const report = await verify({ threads: 0, from: BLOCK_RECORDS });
    expect(report.damaged).toEqual([
      expect.objectContaining({ seq: BLOCK_RECORDS, kind: "broken-chain", expected: "07".repeat(32) }),
    ]);
  });

  it("goes on where the last one ended, and knows what the root was there", async () => {
    expect(await verify({ threads: 0, from: "last" })).toMatchObject({ ok: true, from: 0 });
    const last = Math.floor(SIZE / BLOCK_RECORDS) * BLOCK_RECORDS;
    expect(await verify({ threads: 0, from: "last" })).toMatchObject({ ok: true, from: last });
    await tamper((disk) => disk.put(VERIFIED_KEY, Buffer.concat([u64(last + 100), Buffer.alloc(32, 1)])));
    expect(await verify({ threads: 0, from: "last" })).toMatchObject({
      ok: false,
      damaged: [{ seq: last + 99, kind: "forked", key: VERIFIED_KEY.toString("hex"), expected: "01".repeat(32) }],
    });
  });
});

describe("a store that is closed while it is verified", () => {
  it.each([0, 2])("ends the verification, and no damage is made up: %i threads", async (threads) => {
    const store = await Store.openFolder(join(folder, "store"), { threads: true });
    const book = await Book.open({ store, name: "production", origin: ORIGIN, headNote: join(folder, "head.note") });
    const { promise, resolve } = Promise.withResolvers<void>();
    const verified = book.verify({ threads, keyOf, onProgress: () => resolve() });
    verified.catch(() => undefined);
    await promise;
    await store.close();
    await expect(verified).rejects.toMatchObject({ code: "store_unusable" });
    await book.close();
    // Nobody holds it any longer.
    await (await Store.openFolder(join(folder, "store"))).close();
  });
});

function placeOf(pick: { below(limit: number): number }): number {
  // Edges of blocks are where two checks meet.
  const edge = BLOCK_RECORDS * (1 + pick.below(2)) - 1 + pick.below(2);
  return pick.below(2) === 0 ? edge : pick.below(SIZE);
}

const HARMS: ((disk: Disk, seq: number) => Promise<unknown>)[] = [
  harmRecord,
  (disk, seq) => disk.del(keys.record(seq)),
  (disk, seq) => harmNode(disk, 0, seq, Buffer.alloc(32, 9)),
  (disk, seq) => harmNode(disk, 4, seq >> 4, Buffer.alloc(32, 9)),
  (disk, seq) => harmNode(disk, 8, seq >> 8, Buffer.alloc(32, 9)),
  (disk, seq) => disk.del(tileKeyOf(0, seq)),
  (disk, seq) => disk.del(tileKeyOf(4, seq >> 4)),
  (disk, seq) => disk.put(keys.id(idOf(seq)), seqText(1)),
  async (disk, seq) => {
    await harmRecord(disk, seq);
    await harmNode(disk, 0, seq, leafHash(await disk.get(keys.record(seq))));
  },
];

function seqIn(value: Buffer | undefined): number | undefined {
  return value === undefined ? undefined : readSeqText(value);
}

async function harmNode(disk: Disk, level: number, index: number, hash: Buffer): Promise<void> {
  const key = tileKeyOf(level, index);
  const tile = await disk.get(key).catch(() => undefined);
  if (tile !== undefined) await disk.put(key, withNode(tile, level, index, hash));
}

async function harmRecord(disk: Disk, seq: number): Promise<void> {
  const bytes = await disk.get(keys.record(seq)).catch(() => undefined);
  if (bytes === undefined) return;
  const harmed = Buffer.from(bytes);
  harmed.writeUInt8(harmed.readUInt8(200) ^ 1, 200);
  await disk.put(keys.record(seq), harmed);
}

async function tamper(harm: (disk: Disk) => Promise<unknown>): Promise<void> {
  const disk = new Level<Buffer, Buffer>(join(folder, "store"), { keyEncoding: "buffer", valueEncoding: "buffer" });
  await disk.open();
  await harm(disk);
  await disk.close();
}

async function verify(options: Parameters<Book["verify"]>[0]): Promise<VerifyReport> {
  const store = await Store.openFolder(join(folder, "store"), { threads: true });
  const book = await Book.open({ store, name: "production", origin: ORIGIN, headNote: join(folder, "head.note") });
  try {
    return await book.verify({ keyOf, ...options });
  } finally {
    await book.close();
    await store.close();
  }
}

/** What the walk alone finds, as text that can be compared. */
async function walkAll(): Promise<string[]> {
  const store = await Store.openFolder(join(folder, "store"));
  try {
    const state = decodeHead(store.getNow(HEAD_KEY));
    if (state === null) throw new Error("the head is not among what is harmed");
    const note = parseHeadNote(await readFile(join(folder, "head.note"), "utf8"));
    const walk = verifyRecords({
      stored: {
        record: (seq) => store.getNow(keys.record(seq)),
        tile: storedTiles(store),
        seqOf: (id) => seqIn(store.getNow(keys.id(id))),
      },
      head: { size: SIZE, tip: state.tip, range: state.range },
      reach: SIZE,
      note,
      keyOf,
    });
    for (;;) {
      const step = walk.next();
      if (step.done !== true) continue;
      return step.value.findings.named
        .map(({ seq, kind, place, expected, found }) =>
          [seq, kind, placeKey(place).toString("hex"), expected, found].join(" "),
        )
        .toSorted();
    }
  } finally {
    await store.close();
  }
}

function namedIn(report: VerifyReport): string[] {
  return report.damaged
    .map(({ seq, kind, key, expected, found }) => [seq, kind, key, expected, found].join(" "))
    .toSorted();
}
