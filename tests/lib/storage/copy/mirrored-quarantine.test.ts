import { beforeEach, describe, expect, it } from "vitest";
import { parseCheckpoint } from "../../../../lib/ledger/checkpoint.ts";
import { sha256 } from "../../../../lib/ledger/hash.ts";
import { keys } from "../../../../lib/storage/keys.ts";
import { Mirror } from "../../../../lib/storage/copy/mirror.ts";
import { copyQuarantine, type Wanted } from "../../../../lib/storage/copy/mirrored-quarantine.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { rowsOf } from "../../../support/book-rows.ts";
import { type LogToFollow, logToFollow } from "../../../support/log-to-follow.ts";

const now = () => Date.parse("2026-11-24T12:00:00.000Z");
const bytesOf = (raw: unknown) => Buffer.from(JSON.stringify(raw));

describe("what a mirrored book has set apart", () => {
  let log: LogToFollow;
  let store: Store;
  let mirror: Mirror;

  beforeEach(async () => {
    log = await logToFollow();
    store = await Store.inMemory();
    mirror = open();
    await log.grow(3);
    await log.setApart("junk");
    await log.setApart({ more: "junk" });
    await follow();
  });

  const open = () => Mirror.open({ store, name: "audit", now });
  const wanted = (size = mirror.held) => mirror.quarantine.wanted(size);

  async function follow(): Promise<void> {
    const checkpoint = parseCheckpoint(log.checkpoint());
    await mirror.note(checkpoint);
    expect(await mirror.append(log.read(mirror.held, 1000))).toBe(true);
    expect(await mirror.prove(checkpoint)).toBe(true);
  }

  /** As the service of the book gives them. */
  async function bytesThere({ digest }: Wanted): Promise<Buffer> {
    return (await log.store.get(keys.quarantine(digest)))?.subarray(8) ?? Buffer.alloc(0);
  }

  async function keepAll(): Promise<void> {
    for (const one of await wanted()) expect(await mirror.quarantine.keep(one, await bytesThere(one))).toBe(true);
  }

  it("is wanted from the record on, also by a mirror that was killed, and lies under the book's own keys then", async () => {
    const expected = [
      { seq: 3, digest: sha256(bytesOf("junk")), length: 6 },
      { seq: 4, digest: sha256(bytesOf({ more: "junk" })), length: 15 },
    ];
    expect(await wanted()).toEqual(expected);
    expect(await wanted(4), "as far as it is proven").toEqual(expected.slice(0, 1));
    mirror = open();
    expect(await wanted()).toEqual(expected);
    await keepAll();
    expect(await wanted()).toEqual([]);
    expect(await rowsOf(store, "q")).toEqual(await rowsOf(log.store, "q"));
  });

  it("is no other bytes than those that the record names", async () => {
    const [first] = (await wanted()) as [Wanted];
    expect(await mirror.quarantine.keep(first, Buffer.from('"junK"'))).toBe(false);
    expect(await wanted()).toHaveLength(2);
    expect(await rowsOf(store, "q")).toEqual([]);
  });

  it("is looked for once in the records that a mirror has from before", async () => {
    const before = await rowsOf(store, "rdnm");
    const old = await Store.inMemory();
    await old.write((tx) => {
      for (const [key, value] of before.map((row) => row.split(" ") as [string, string])) {
        tx.put(Buffer.from(key, "hex"), Buffer.from(value, "hex"));
      }
    });
    const { quarantine, held } = Mirror.open({ store: old, name: "audit", now });
    expect(await quarantine.wanted(held)).toEqual([]);
    await quarantine.lookThrough(held);
    expect(await quarantine.wanted(held)).toEqual(await wanted());
    for (const one of await quarantine.wanted(held)) await quarantine.keep(one, await bytesThere(one));
    await quarantine.lookThrough(held);
    expect(await quarantine.wanted(held)).toEqual([]);
  });

  it("goes with the records that are given up, and is wanted again with those that come in their place", async () => {
    await keepAll();
    await log.setApart("unproven");
    await log.setApart("unproven too");
    await mirror.append(log.read(mirror.held, 1000));
    const [first] = (await wanted()) as [Wanted];
    await mirror.quarantine.keep(first, await bytesThere(first));
    expect(await rowsOf(store, "q")).toHaveLength(3);
    await mirror.startOver();
    expect(await wanted(1000)).toEqual([]);
    expect(await rowsOf(store, "q")).toHaveLength(2);
    await follow();
    await keepAll();
    expect(await rowsOf(store, "q")).toEqual(await rowsOf(log.store, "q"));
  });

  it("is copied with the records that tell of it, as far as it is whole", async () => {
    await keepAll();
    await log.setApart("never came");
    await log.setApart("beyond");
    await follow();
    const spoiled = keys.quarantine(sha256(bytesOf("junk")));
    await store.write((tx) => tx.put(spoiled, Buffer.concat([store.getNow(spoiled) as Buffer, Buffer.from(" ")])));
    const to = await Store.inMemory();
    expect(await copyQuarantine({ from: store, to, size: 6 }), "the spoiled one and the one that never came").toBe(2);
    const whole = (await rowsOf(log.store, "q")).filter((row) =>
      row.endsWith(bytesOf({ more: "junk" }).toString("hex")),
    );
    expect(await rowsOf(to, "q")).toEqual(whole);
  });
});
