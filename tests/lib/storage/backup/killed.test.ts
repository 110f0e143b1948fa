import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { backupName, listBackups } from "../../../../lib/storage/backup/folder.ts";
import { NOW } from "../../../suites/events.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { openBookIn } from "./book-to-back-up.ts";

const MAKER = fileURLToPath(new URL("backup-to-kill.ts", import.meta.url));

it("what a killed process had begun is no backup, and the next one takes it away", { timeout: 30_000 }, async () => {
  const folder = await temporaryFolder();
  const first = await openBookIn(folder);
  await first.addMany(0, 1000);
  await first.close();

  for (const frames of [1, 3]) {
    const maker = spawn(process.execPath, [MAKER, folder, String(frames)], { stdio: "inherit" });
    expect(await once(maker, "close")).toEqual([null, "SIGKILL"]);
    expect(await readdir(join(folder, "backups"))).toEqual([expect.stringMatching(/\.rastro-backup\.draft$/)]);
    expect(await listBackups(join(folder, "backups"), "production")).toEqual([]);
  }

  const again = await openBookIn(folder);
  expect(await again.backup(NOW)).toMatchObject({ ok: true, records: 1000 });
  expect(await readdir(join(folder, "backups"))).toEqual([backupName(NOW)]);
  await again.close();
});
