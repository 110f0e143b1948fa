import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { openLevel } from "../../../../lib/storage/level/database.ts";
import { temporaryFolder } from "../../../support/folder.ts";
import { rowsUnder, tilesIn, tilesOver, treeOf } from "../../../support/format-1.ts";

const MIGRATOR = fileURLToPath(new URL("migration-to-kill.ts", import.meta.url));
const SIZE = 20_000;

it("killed again and again on its way, it comes to the same store", { timeout: 60_000 }, async () => {
  const folder = join(await temporaryFolder(), "store");
  const database = await openLevel(folder);
  const leaves = await treeOf(database, SIZE);
  await database.close();

  const ends: (string | number)[] = [];
  for (const batches of [1, 2, 4, 5, 4, 3, 2, 1000]) {
    const migrator = spawn(process.execPath, [MIGRATOR, folder, String(batches)], { stdio: "inherit" });
    const [code, signal] = (await once(migrator, "close")) as [number | null, string | null];
    ends.push(signal ?? (code as number));
  }
  expect(ends.at(-1)).toBe(0);
  expect(ends.filter((end) => end === "SIGKILL").length).toBeGreaterThan(5);

  const after = await openLevel(folder);
  expect(after.getSync(Buffer.from("m/format"))?.toString()).toBe("2");
  expect(await tilesIn(after)).toEqual(tilesOver(leaves));
  expect(await rowsUnder(after, "t")).toEqual([]);
  await after.close();
});
