import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { type Folders, foldersOf } from "../../../lib/runtime/folders.ts";
import { checkBackup } from "../../../lib/storage/backup/check.ts";
import { backupsIn } from "../../../lib/storage/backup/folder.ts";
import { Mirror } from "../../../lib/storage/copy/mirror.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { startOver } from "../../../services/standby/start-over.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { type LogToFollow, logToFollow } from "../../support/log-to-follow.ts";

const now = Date.now;

describe("a standby's copy that begins again", () => {
  let folders: Folders;
  let log: LogToFollow;
  const again = () => startOver({ book: "production", plant: "plant-test", folders, app: "standby@test", now });

  /** A copy with ten proven records. */
  beforeEach(async () => {
    folders = foldersOf(await temporaryFolder());
    log = await logToFollow("production");
    await log.grow(10);
    await onMirror(async (mirror) => {
      const checkpoint = parseCheckpoint(log.checkpoint());
      await mirror.note(checkpoint);
      await mirror.append(log.read(0, 10));
      await mirror.prove(checkpoint);
    });
  });

  async function onMirror(work: (mirror: Mirror) => Promise<void>): Promise<void> {
    const store = await Store.openFolder(folders.mirrorStore("production"));
    try {
      await work(Mirror.open({ store, name: "production", now }));
    } finally {
      await store.close();
    }
  }

  /** Records come that nothing proves, and one that does not go on from them. */
  async function diverge(): Promise<void> {
    await log.grow(5);
    await onMirror(async (mirror) => {
      expect(await mirror.append(log.read(10, 5))).toBe(true);
      expect(await mirror.append(log.read(3, 1))).toBe(false);
    });
  }

  it("is backed up whole before it gives anything up", async () => {
    await diverge();
    const done = await again();
    expect(done).toMatchObject({ records: 10, removed: 5 });
    const file = join(folders.mirrorBackups("production"), done.backup ?? "");
    const { report } = await checkBackup(file, { now });
    expect(report).toMatchObject({ ok: true, records: 15, header: { why: "before-prune", store: "production" } });
    await onMirror(async (mirror) => expect(mirror).toMatchObject({ held: 10, divergence: null }));
  });

  it("gives nothing up when the backup cannot be made, and makes none when there is nothing to give up", async () => {
    expect(await again()).toEqual({ records: 10, removed: 0, backup: null });
    expect(await backupsIn(folders.mirrorBackups("production"))).toEqual([]);
    await diverge();
    await mkdir(dirname(folders.mirrorBackups("production")), { recursive: true });
    await writeFile(folders.mirrorBackups("production"), "no folder");
    await expect(again()).rejects.toMatchObject({ code: "store_unusable" });
    await onMirror(async (mirror) => {
      expect(mirror.held).toBe(15);
      expect(mirror.divergence).not.toBeNull();
    });
  });
});
