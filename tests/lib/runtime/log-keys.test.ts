import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { followRotations } from "../../../lib/ledger/key-rotation.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { openLogKeys } from "../../../lib/runtime/log-keys.ts";

describe("the keys of a log", () => {
  let data: string;
  const open = () => openLogKeys({ folders: foldersOf(data), book: "audit", plant: "plant-1" });
  const publicFile = () => readFile(foldersOf(data).logPublicKey("audit"), "utf8");

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), "rastro-log-keys-"));
  });
  afterEach(() => rm(data, { recursive: true }));

  it("are made once, by whoever comes first, and readable by nobody else", async () => {
    const [one, other] = await Promise.all([open(), open()]);
    expect(other.known()).toEqual(one.known());
    expect((await stat(foldersOf(data).logKeys("audit"))).mode & 0o777).toBe(0o600);
    expect(await publicFile()).toBe(`${one.known().map(formatVerifierKey).join()}\n`);
    expect(one.known()[0]?.name).toBe("plant-1/audit");
  });

  it("hand over from one to the next, which whoever trusts the first can follow", async () => {
    const keys = await open();
    const [first] = keys.known();
    if (first === undefined) throw new Error("a log has a key");
    const { from, to } = await keys.rotate();
    expect(keys.known().map(formatVerifierKey)).toEqual([to, from]);
    await keys.rotate();
    expect(await keys.retire()).toBe(true);
    expect(await keys.retire()).toBe(false);
    const again = await open();
    const [now] = again.known();
    expect(again.known()).toHaveLength(1);
    expect(followRotations(first, again.rotations()).at(-1)).toEqual(now);
    expect(await publicFile()).toBe(`${again.known().map(formatVerifierKey).join()}\n`);
  });

  it("are not made anew over a file that cannot be read", async () => {
    await open();
    const file = foldersOf(data).logKeys("audit");
    await writeFile(file, "{}");
    await expect(open()).rejects.toMatchObject({ code: "store_unusable" });
    expect(await readFile(file, "utf8")).toBe("{}");
  });
});
