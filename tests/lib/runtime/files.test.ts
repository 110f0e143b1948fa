import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { loadOrCreateKey, readPublicKey, writePublicKey } from "../../../lib/runtime/keys.ts";
import { createOnce, replaceFile } from "../../../lib/runtime/new-file.ts";
import { openPlant, readPlant } from "../../../lib/runtime/plant.ts";
import { listRunFiles, readRunFile, removeRunFile, writeRunFile } from "../../../lib/runtime/run-files.ts";
import { temporaryFolder } from "../../support/folder.ts";

const NOW = Date.parse("2026-11-24T12:00:00.000Z");
const modeOf = async (file: string) => (await stat(file)).mode & 0o777;

describe("files", () => {
  it("are created once, whole, whoever else creates them at the same time", async () => {
    const file = join(await temporaryFolder(), "a", "b", "file");
    const writers = Array.from({ length: 20 }, (_, index) => `content ${index}`);
    const made = await Promise.all(writers.map((content) => createOnce(file, content)));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(await readFile(file, "utf8")).toBe(writers[made.indexOf(true)]);
    expect(await readdir(join(file, ".."))).toEqual(["file"]);
    expect(await modeOf(file)).toBe(0o600);
  });

  it("are replaced whole", async () => {
    const file = join(await temporaryFolder(), "file");
    await replaceFile(file, "one");
    await replaceFile(file, "two", 0o644);
    expect(await readFile(file, "utf8")).toBe("two");
  });

  it.each(["a file in the way", "/proc/nothing"])("that cannot be written are named: %s", async (kind) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "taken"), "");
    const file = kind.startsWith("/") ? `${kind}/file` : join(folder, "taken", "file");
    await expect(replaceFile(file, "x")).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringContaining(file),
    });
  });
});

describe("keys", () => {
  it("are made once, kept at mode 0600, and the same for all who load them at once", async () => {
    const file = foldersOf(await temporaryFolder()).serviceKey("audit");
    const [first, ...others] = await Promise.all(Array.from({ length: 5 }, () => loadOrCreateKey(file)));
    expect(new Set([first, ...others].map((key) => key?.publicRaw.toString("hex"))).size).toBe(1);
    expect(first?.publicRaw).toHaveLength(32);
    expect(first?.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    await chmod(file, 0o644);
    expect((await loadOrCreateKey(file)).fingerprint).toBe(first?.fingerprint);
    expect(await modeOf(file)).toBe(0o600);
  });

  it("that are none are named", async () => {
    const file = join(await temporaryFolder(), "audit.key");
    await writeFile(file, "no key");
    await expect(loadOrCreateKey(file)).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringContaining(file),
    });
    await expect(readPublicKey(file)).rejects.toMatchObject({ code: "store_unusable" });
    await expect(readPublicKey(`${file}.pub`)).rejects.toMatchObject({ code: "store_unusable" });
  });

  it("have a public half that is read as it was written", async () => {
    const file = foldersOf(await temporaryFolder()).directoryPublicKey;
    const raw = randomBytes(32);
    await writePublicKey(file, raw);
    expect(await readPublicKey(file)).toEqual(raw);
  });
});

describe("the plant", () => {
  it("gets its id at the first run, the same for all who ask at once, and keeps it", async () => {
    const data = join(await temporaryFolder(), "data");
    const open = () => openPlant({ data, now: () => NOW, random: randomBytes });
    const plants = await Promise.all([open(), open(), open()]);
    expect(new Set(plants.map((plant) => plant.id)).size).toBe(1);
    expect(plants[0]).toEqual({
      id: expect.stringMatching(/^plant-[0-9a-f]{16}$/),
      createdAt: "2026-11-24T12:00:00.000Z",
    });
    expect(await readPlant(data)).toEqual(await open());
  });

  it("of a folder that was never started, or that is damaged, is refused", async () => {
    const data = await temporaryFolder();
    await expect(readPlant(data)).rejects.toMatchObject({
      code: "store_unusable",
      message: expect.stringContaining("RASTRO_DATA"),
    });
    await writeFile(foldersOf(data).plant, '{"id":"NO"}');
    await expect(readPlant(data)).rejects.toMatchObject({ code: "store_unusable" });
  });
});

describe("run files", () => {
  const file = (name: string, pid: number) => ({
    name,
    pid,
    url: "http://127.0.0.1:1",
    startedAt: "2026-11-24T12:00:00.000Z",
  });

  it("are listed, and removed by the process that wrote them only", async () => {
    const data = await temporaryFolder();
    expect(listRunFiles(data)).toEqual([]);
    await writeRunFile(data, file("broker", 10));
    await writeRunFile(data, file("audit", 11));
    await mkdir(foldersOf(data).run, { recursive: true });
    await writeFile(foldersOf(data).runFile("torn"), "{");
    expect(listRunFiles(data).map(({ name }) => name)).toEqual(["audit", "broker"]);
    removeRunFile(data, "broker", 11);
    expect(readRunFile(data, "broker")).toEqual(file("broker", 10));
    removeRunFile(data, "broker", 10);
    removeRunFile(data, "broker", 10);
    expect(readRunFile(data, "broker")).toBeNull();
  });
});
