import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeNewFile } from "../../../tools/export/new-file.ts";

describe("a new file", () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "rastro-new-file-"))));
  afterEach(() => rm(folder, { recursive: true }));

  it("is there when all of it is written, and not before", async () => {
    const path = join(folder, "a");
    const result = await writeNewFile(path, async (sink) => {
      for (let at = 0; at < 1000; at += 1) await sink.write(`${at} ${"é".repeat(500)}\n`);
      expect(await readdir(folder)).not.toContain("a");
      return "done";
    });
    expect(result).toBe("done");
    expect((await readFile(path, "utf8")).split("\n")).toHaveLength(1001);
    expect(await readdir(folder)).toEqual(["a"]);
  });

  it("leaves what was there, and nothing else, when the work fails", async () => {
    const path = join(folder, "a");
    await writeFile(path, "before");
    const failing = writeNewFile(path, async (sink) => {
      await sink.write("half");
      throw new Error("the hub is gone");
    });
    await expect(failing).rejects.toThrow("the hub is gone");
    expect(await readdir(folder)).toEqual(["a"]);
    expect(await readFile(path, "utf8")).toBe("before");
  });

  it("says what is wrong with a place", async () => {
    const write = (path: string) => writeNewFile(path, (sink) => sink.write("text"));
    await expect(write(join(folder, "none", "a"))).rejects.toMatchObject({
      code: "file_unusable",
      message: expect.stringContaining("there is no such folder"),
    });
    await expect(write(folder)).rejects.toMatchObject({ code: "file_unusable" });
    expect(await readdir(folder)).toEqual([]);
  });
});
