import { randomBytes } from "node:crypto";
import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { Store } from "../../../../lib/storage/store/store.ts";
import { filesWith } from "../../../support/bytes-in.ts";

const KEY = Buffer.from("s/secret-name");
const ALL = { gte: Buffer.from([0]), lt: Buffer.from([255]) };

describe("a store whose files are written anew", () => {
  let parent: string;
  let folder: string;
  let secret: Buffer;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), "rastro-rewrite-"));
    folder = join(parent, "store");
    secret = randomBytes(48);
    onTestFinished(() => rm(parent, { recursive: true, force: true }));
  });

  const open = async () => {
    const store = await Store.openFolder(folder);
    onTestFinished(() => store.close());
    return store;
  };
  const rowsOf = async (store: Store) => {
    const rows: [string, string][] = [];
    for await (const [key, value] of store.range(ALL)) rows.push([key.toString("hex"), value.toString("hex")]);
    return rows;
  };
  const fill = (store: Store, count: number) =>
    store.write((tx) => {
      for (let n = 0; n < count; n += 1) tx.put(Buffer.from(`r${n}`), randomBytes(500));
    });

  it("has nothing in any file of what was deleted, key or value, and everything else", async () => {
    const store = await open();
    await fill(store, 100);
    await store.write((tx) => tx.put(KEY, secret));
    await fill(store, 25_000);
    await store.write((tx) => tx.del(KEY));
    const before = await rowsOf(store);
    expect(await filesWith(parent, secret)).not.toEqual([]);
    expect(await filesWith(parent, KEY)).not.toEqual([]);
    await store.rewrite();
    expect(await filesWith(parent, secret)).toEqual([]);
    expect(await filesWith(parent, KEY)).toEqual([]);
    expect(await rowsOf(store)).toEqual(before);
  });

  it("takes writes and reads meanwhile, and does them after", async () => {
    const store = await open();
    await fill(store, 20_000);
    const rewritten = store.rewrite();
    const written = Array.from({ length: 50 }, (_, n) => store.write((tx) => tx.put(Buffer.from(`m${n}`), secret)));
    const read = await store.get(Buffer.from("r7"));
    expect(read).toHaveLength(500);
    await Promise.all([rewritten, ...written]);
    expect(await store.get(Buffer.from("m49"))).toEqual(secret);
    expect((await rowsOf(store)).length).toBe(20_051);
  });

  it.each([
    ["before the old folder was moved", async () => cp(folder, `${folder}.new`, { recursive: true })],
    [
      "before the new one was in its place",
      async () => {
        await cp(folder, `${folder}.new`, { recursive: true });
        await rename(folder, `${folder}.old`);
      },
    ],
    ["before the old one was removed", async () => cp(folder, `${folder}.old`, { recursive: true })],
  ])("opens with all of it where the writing was cut short %s", async (_name, cutShort) => {
    const store = await open();
    await store.write((tx) => tx.put(KEY, secret));
    const rows = await rowsOf(store);
    await store.close();
    await cutShort();
    const again = await open();
    expect(await rowsOf(again)).toEqual(rows);
    for (const left of [".new", ".old"]) await expect(filesWith(`${folder}${left}`, "")).rejects.toThrow(/ENOENT/);
  });

  it("is open and whole where the writing failed", async () => {
    const store = await open();
    await store.write((tx) => tx.put(KEY, secret));
    // A file is in the way of the new folder.
    await cp(join(folder, "CURRENT"), `${folder}.old`);
    await expect(store.rewrite()).rejects.toMatchObject({ code: "store_unusable" });
    expect(await store.get(KEY)).toEqual(secret);
    await store.write((tx) => tx.put(Buffer.from("r1"), secret));
    expect(await store.get(Buffer.from("r1"))).toEqual(secret);
  });
});
