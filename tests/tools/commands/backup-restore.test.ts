import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { keys as hubKeys } from "../../../broker/persistence/keys.ts";
import { decodeMessage, encodeMessage } from "../../../broker/persistence/stored-message.ts";
import type { RestoredMark } from "../../../lib/contracts/backup.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { parseHeadNote } from "../../../lib/ledger/head-note.ts";
import { openLogKeys } from "../../../lib/runtime/log-keys.ts";
import { keys } from "../../../lib/storage/keys.ts";
import { type Folders, foldersOf } from "../../../lib/runtime/folders.ts";
import { openPlant } from "../../../lib/runtime/plant.ts";
import { leaveMark, readMark, requireRestored } from "../../../lib/runtime/restored.ts";
import { makeBackup } from "../../../lib/storage/backup/make.ts";
import { Book } from "../../../lib/storage/book/book.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { idOf, inputFor, NOW } from "../../suites/events.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { PRODUCTION_SEEN } from "../../../services/audit/witnesses/production-log.ts";
import { rastro } from "./cli.ts";

const WHY = ["--older-on-purpose", "--reason", "The disk of the hub was lost"];

describe("rastro backup restore", () => {
  let folders: Folders;
  let plant: string;
  let root: string;

  /** A plant that is stopped: a book of 30 records, backed up at 20. */
  beforeEach(async () => {
    folders = foldersOf(await temporaryFolder());
    ({ id: plant } = await openPlant({ data: folders.data, now: Date.now, random: randomBytes }));
    const store = await Store.openFolder(folders.bookStore("production"));
    const origin = `${plant}/production`;
    const book = await Book.open({ store, name: "production", origin, headNote: folders.headNote("production") });
    const add = async (first: number, count: number) => {
      for (let n = first; n < first + count; n += 1)
        await store.write((tx) => void book.append(tx, inputFor(n, null), idOf(n)));
    };
    await add(0, 20);
    const folder = join(folders.backups, "production");
    const about = { name: "production", plant, origin, folder, why: "schedule", app: "production@test" } as const;
    await makeBackup({ ...about, store, now: () => NOW });
    await add(20, 10);
    ({ root } = book.head());
    await book.close();
    await store.close();
  });

  const restore = (...args: string[]) =>
    rastro(["backup", "restore", "production", ...args], {
      RASTRO_DATA: folders.data,
      RASTRO_URL: "http://127.0.0.1:1",
    });

  /** As the outbox of a machine has it that production told so. */
  async function giveReceipt(machine: string, seq: number): Promise<void> {
    const store = await Store.openFolder(folders.agentOutbox(machine));
    const receipt = { id: idOf(1), status: "booked", book: "production", seq, leaf: "0".repeat(64) };
    const settled = Buffer.from(JSON.stringify({ at: NOW, receipt }));
    await store.write((tx) => tx.put(keys.outbox.receipt("production", 7), settled));
    await store.close();
  }

  async function spoil(folder: string, key: Buffer): Promise<void> {
    const store = await Store.openFolder(folder);
    await store.write((tx) => tx.put(key, Buffer.from("rubbish")));
    await store.close();
  }

  /** Has the hub retain a checkpoint of production over so many records. */
  async function retain(size: number, key?: KeyObject): Promise<void> {
    const logKeys = await openLogKeys({ folders, book: "production", plant });
    const head = { origin: logKeys.origin, size, root: Buffer.alloc(32) };
    const payload = signCheckpoint(head, key === undefined ? logKeys.privateKeys() : [key]);
    const topic = topics.checkpoint("production");
    const store = await Store.openFolder(folders.mqttSessions);
    const message = encodeMessage({ topic, payload, qos: 1, retain: true, at: NOW });
    await store.write((tx) => tx.put(hubKeys.retained(topic), message));
    await store.close();
  }

  async function retained(): Promise<number | undefined> {
    const store = await Store.openFolder(folders.mqttSessions);
    const bytes = await store.get(hubKeys.retained(topics.checkpoint("production")));
    await store.close();
    return parseHeadNote(decodeMessage(bytes ?? Buffer.alloc(0))?.payload.toString() ?? "").size;
  }

  async function sizeInPlace(): Promise<number> {
    const store = await Store.openFolder(folders.bookStore("production"));
    const note = folders.headNote("production");
    const book = await Book.open({ store, name: "production", origin: `${plant}/production`, headNote: note });
    expect(book.damage).toBeNull();
    const { size } = book.head();
    await book.close();
    await store.close();
    return size;
  }

  it("goes on where one was cut off, and still knows what had been there", { timeout: 30_000 }, async () => {
    // As a kill after the first move leaves it: the store and its note are aside, nothing is in their place.
    const from = { size: 30, root };
    await leaveMark(folders.restoredMark("production"), { ...MARK, from });
    await rename(folders.production, `${folders.production}.aside`);
    await expect(requireRestored(folders.restoredMark("production"))).rejects.toThrow(
      'Run "rastro backup restore production 20261124T054405000Z.rastro-backup" again',
    );

    const refused = await restore();
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain("a restore that was cut off knows of 30 records, the backup has 20");
    expect((await restore(...WHY)).exit).toBe(0);
    expect(await sizeInPlace()).toBe(20);
    const mark = await requireRestored(folders.restoredMark("production"));
    expect(mark).toMatchObject({ state: "done", from, to: { size: 20 }, older: true });
  });

  it("takes the newest backup, and what a restore has saved only by its name", { timeout: 30_000 }, async () => {
    expect((await restore(...WHY)).exit).toBe(0);
    const backups = (await readdir(join(folders.backups, "production"))).toSorted();
    expect(backups).toHaveLength(2);
    expect((await restore()).exit).toBe(0);
    expect(await sizeInPlace()).toBe(20);
    expect((await restore(backups[1] ?? "", "--json")).json()).toMatchObject({
      mark: { to: { size: 30 }, older: false },
    });
    expect(await sizeInPlace()).toBe(30);
    expect(await readMark(folders.restoredMark("production"))).toMatchObject({ from: { size: 20 } });
  });

  it(
    "knows of a lost book by what the hub has retained, and by the receipts of others",
    { timeout: 30_000 },
    async () => {
      await rm(folders.production, { recursive: true });
      await giveReceipt("ipc-07", 24);
      expect((await restore()).stderr).toContain("a receipt that ipc-07 has knows of 25 records, the backup has 20");
      await retain(30);
      expect((await restore()).stderr).toContain(
        "the hub's retained checkpoint knows of 30 records, the backup has 20",
      );
      await spoil(folders.agentOutbox("ipc-08"), keys.outbox.receipt("production", 7));
      await spoil(folders.bookStore("audit"), PRODUCTION_SEEN);
      expect((await restore()).stderr).toContain(
        "the hub's retained checkpoint knows of 30 records, the backup has 20",
      );
      // Of a store that was not closed nothing is asked: only its own process may open it.
      await writeFile(`${folders.mqttSessions}.open`, "");
      expect((await restore()).stderr).toContain("a receipt that ipc-07 has knows of 25 records");
      expect((await restore(...WHY)).exit).toBe(0);
      expect(await readMark(folders.restoredMark("production"))).toMatchObject({ from: { size: 25, root: null } });
    },
  );

  it("keeps of the hub's sessions the checkpoints that say more than the backup", { timeout: 30_000 }, async () => {
    await retain(20);
    const folder = join(folders.backups, "sessions");
    const about = { name: "sessions", plant, origin: null, folder, why: "schedule", app: "broker@test" } as const;
    const store = await Store.openFolder(folders.mqttSessions);
    await makeBackup({ ...about, store, now: () => NOW });
    await store.close();
    const restored = async () => {
      const result = await rastro(["backup", "restore", "sessions", `${folder}/20261124T054405000Z.rastro-backup`], {
        RASTRO_DATA: folders.data,
        RASTRO_URL: "http://127.0.0.1:1",
      });
      expect(result).toMatchObject({ exit: 0, stderr: "" });
      return retained();
    };
    await retain(30);
    expect(await restored()).toBe(30);
    // A larger one that the log has not signed is nobody's word.
    await retain(40, generateKeyPairSync("ed25519").privateKey);
    expect(await restored()).toBe(20);
  });

  it("leaves all as it is when the backup is damaged or of another store", { timeout: 30_000 }, async () => {
    const file = join(folders.backups, "production", "20261124T054405000Z.rastro-backup");
    const audit = await rastro(["backup", "restore", "audit", file], { RASTRO_DATA: folders.data });
    expect(audit.exit).toBe(1);
    expect(audit.stderr).toContain("the backup's store is production, expected audit");
    expect(await sizeInPlace()).toBe(30);
  });

  const MARK: RestoredMark = {
    v: 1,
    state: "cut-off",
    event: idOf(77),
    store: "production",
    at: new Date(NOW).toISOString(),
    backup: "20261124T054405000Z.rastro-backup",
    madeAt: new Date(NOW).toISOString(),
    from: null,
    to: null,
    older: true,
    by: "tester",
    reason: null,
    aside: null,
  };
});
