import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Store } from "../../../../lib/storage/store/store.ts";
import { BACKENDS } from "../../../suites/backends.ts";
import { storeSuite } from "../../../suites/store.ts";

for (const backend of BACKENDS) storeSuite(backend);

describe("opening a folder", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-store-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("makes it, parents and all", async () => {
    const store = await Store.openFolder(join(folder, "a", "b"));
    await store.write((tx) => tx.put(Buffer.from("k"), Buffer.from("v")));
    await store.close();
    const again = await Store.openFolder(join(folder, "a", "b"));
    expect((await again.get(Buffer.from("k")))?.toString()).toBe("v");
    await again.close();
  });

  it("says that another process has it open, where, and what to do", async () => {
    const store = await Store.openFolder(folder);
    await expect(Store.openFolder(folder)).rejects.toMatchObject({
      code: "store_locked",
      message: expect.stringMatching(new RegExp(`${folder}.*another process has it open.*RASTRO_DATA`)) as string,
    });
    await store.close();
  });

  it("says that it cannot be used, where, and what to do", async () => {
    const file = join(folder, "file");
    await writeFile(file, "not a folder");
    await expect(Store.openFolder(file)).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringMatching(new RegExp(`${file} failed: .+may write to it`)) as string,
    });
  });

  it("says so when its files are damaged", async () => {
    await mkdir(join(folder, "store"));
    await writeFile(join(folder, "store", "CURRENT"), "MANIFEST-000009\n");
    await expect(Store.openFolder(join(folder, "store"))).rejects.toMatchObject({ code: "store_unusable" });
  });
});
