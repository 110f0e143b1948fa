import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { type Backups, createBackups, type Made } from "../../../../lib/storage/backup/backups.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { NOW } from "../../../suites/events.ts";
import { temporaryFolder } from "../../../support/folder.ts";

const DAY = 24 * 60 * 60 * 1000;

describe("the backups of a process", () => {
  let folder: string;
  let now: number;
  let told: Made[];
  let backups: Backups;

  beforeEach(async () => {
    folder = join(await temporaryFolder(), "fleet");
    now = NOW;
    told = [];
    const store = await Store.inMemory();
    await store.write((tx) => tx.put(Buffer.from("v1"), Buffer.from("a row")));
    backups = createBackups({
      stores: { fleet: { store, origin: null, folder, retention: { count: 2, ageMs: 30 * DAY } } },
      plant: "plant-1",
      app: "fleet@test",
      now: () => (now += 1),
      tell: async (made) => void told.push(made),
      onFault: () => undefined,
    });
    return () => store.close();
  });

  const names = async () => (await backups.list()).map(({ name }) => name);

  it("are put on record with who asked, and those beyond the count go", async () => {
    const by = { sub: "p-1", auth: "session" as const };
    await backups.create("fleet", "request", by);
    await backups.createAll("schedule");
    await backups.createAll("schedule");
    expect(told.map(({ why, by }) => [why, by])).toEqual([
      ["request", by],
      ["schedule", null],
      ["schedule", null],
    ]);
    expect(await names()).toEqual([told[2]?.report.name, told[1]?.report.name]);
  });

  it("keep what was made before a store was brought to another format, beside those that are kept by count", async () => {
    await backups.create("fleet", "before-migration", null);
    for (let more = 0; more < 4; more += 1) await backups.create("fleet", "schedule", null);
    now += 365 * DAY;
    await backups.create("fleet", "schedule", null);
    expect((await backups.list()).map(({ header }) => header?.why)).toEqual(["schedule", "before-migration"]);
  });

  it("are made one at a time, however many ask", async () => {
    const made = await Promise.all([1, 2, 3].map(() => backups.create("fleet", "request", null)));
    expect(new Set(made.map(({ name }) => name)).size).toBe(3);
    expect(made.every(({ ok }) => ok)).toBe(true);
  });

  it("keep the newest that is whole, and say what was found in those that are not", async () => {
    const first = await backups.create("fleet", "request", null);
    const second = await backups.create("fleet", "request", null);
    const file = join(folder, second.name);
    const bytes = await readFile(file);
    bytes[60] = (bytes[60] as number) ^ 1;
    await writeFile(file, bytes);
    expect(await backups.verify("fleet", second.name)).toMatchObject({ ok: false });
    expect((await backups.list())[0]).toMatchObject({ fault: expect.stringContaining("frame 0") as string });
    expect(await backups.verify("fleet", first.name)).toMatchObject({ ok: true });
    await expect(backups.verify("fleet", "20200101T000000000Z.rastro-backup")).rejects.toMatchObject({
      code: "unknown_backup",
    });
  });

  it("say that the last one failed until the next one is made, and leave nothing of it behind", async () => {
    expect(backups.fault()).toBeNull();
    await writeFile(folder, "a file where the folder has to be");
    await backups.createAll("schedule");
    expect(backups.fault()).toMatch(/^the last backup of fleet failed: Backing up fleet into .* failed/);
    await rm(folder);
    await backups.createAll("schedule");
    expect(backups.fault()).toBeNull();
    expect(await names()).toHaveLength(1);
  });

  it("are readable by their owner alone", async () => {
    await backups.create("fleet", "request", null);
    const [name = ""] = await readdir(folder);
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  });
});
