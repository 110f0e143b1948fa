import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EMPTY_ROOT } from "../../../../lib/ledger/hash.ts";
import { formatHeadNote } from "../../../../lib/ledger/head-note.ts";
import { NoteFile } from "../../../../lib/storage/book/note-file.ts";

const note = { origin: "plant-1/audit", size: 3, root: EMPTY_ROOT };
const written = (size = note.size) => formatHeadNote({ ...note, size });
const read = (size: number) => ({ ...note, size, signed: null });

describe("the file of a head note", () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-note-"));
    path = join(folder, "head.note");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is missing, made and overwritten in place", async () => {
    const file = new NoteFile(path);
    expect(await file.read()).toBe("missing");
    await file.write(written());
    const { ino } = await stat(path);
    await file.write(written(1_000_000));
    await file.write(written(4));
    expect(await file.read()).toEqual(read(4));
    expect(await readFile(path)).toHaveLength(512);
    expect((await stat(path)).ino).toBe(ino);
    expect(await readdir(folder)).toEqual(["head.note"]);
    await file.close();
  });

  it("is read by people as it is", async () => {
    const file = new NoteFile(path);
    await file.write(written());
    expect((await readFile(path, "utf8")).trimEnd()).toBe(`plant-1/audit\n3\n${EMPTY_ROOT.toString("base64")}`);
    await file.close();
  });

  it("takes up one that is there, and what a crash left of making one", async () => {
    await writeFile(`${path}.new`, "half");
    const file = new NoteFile(path);
    await file.write(written());
    await file.close();
    const again = new NoteFile(path);
    await again.write(written(5));
    expect(await again.read()).toEqual(read(5));
    await again.close();
  });

  it("says that what is there is no note", async () => {
    await writeFile(path, "half a note");
    const file = new NoteFile(path);
    expect(await file.read()).toBe("unreadable");
    await file.close();
  });

  it("rejects where it cannot be written, and goes on when it can", async () => {
    const file = new NoteFile(join(folder, "gone", "head.note"));
    await expect(file.write(written())).rejects.toThrow("ENOENT");
    expect(await file.read()).toBe("missing");
    await file.close();
  });
});
