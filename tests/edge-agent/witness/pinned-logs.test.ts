import { readFile, rm, writeFile } from "node:fs/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { loadPinnedLogs } from "../../../edge-agent/witness/pinned-logs.ts";
import { type Folders, foldersOf } from "../../../lib/runtime/folders.ts";
import { openLogKeys } from "../../../lib/runtime/log-keys.ts";
import { replaceFile } from "../../../lib/runtime/new-file.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { recordingLog } from "../support/recording-log.ts";
import { LOG_KEY, LOG_VKEY } from "../../lib/witness/test-log.ts";

const MACHINE = "ipc-07";
let folders: Folders;

beforeEach(async () => {
  folders = foldersOf(await temporaryFolder());
});

async function load() {
  const { log, lines } = recordingLog();
  const keys = await loadPinnedLogs({ folders, machine: MACHINE, log });
  return {
    keys,
    names: keys.map(({ name }) => name),
    said: lines().map(({ level, msg }) => `${String(level)} ${String(msg)}`),
  };
}

describe("the keys of the logs that a machine witnesses", () => {
  it("are those that it was given, and on another computer than the hub's no others", async () => {
    expect((await load()).said).toEqual([expect.stringContaining("warn no key of a log is pinned")]);
    await replaceFile(folders.agentWitnessedLogs(MACHINE), LOG_VKEY);
    expect(await load()).toMatchObject({ keys: [LOG_KEY], said: [] });
  });

  it("are pinned from beside it on the hub's own computer, once for each log", async () => {
    const audit = await openLogKeys({ folders, book: "audit", plant: "plant-1" });
    expect((await load()).keys).toEqual(audit.known());
    await openLogKeys({ folders, book: "production", plant: "plant-1" });
    expect((await load()).names).toEqual(["plant-1/audit", "plant-1/production"]);
    const pinned = await readFile(folders.agentWitnessedLogs(MACHINE), "utf8");

    // Another key in the same place is not trusted for lying there.
    await rm(folders.logKeys("audit"));
    await openLogKeys({ folders, book: "audit", plant: "plant-1" });
    expect((await load()).keys).toContainEqual(audit.known()[0]);
    expect(await readFile(folders.agentWitnessedLogs(MACHINE), "utf8")).toBe(pinned);
  });

  it("are none where the file is damaged, and it is left as it is", async () => {
    await openLogKeys({ folders, book: "audit", plant: "plant-1" });
    await replaceFile(folders.agentWitnessedLogs(MACHINE), "half a ke");
    const { keys, said } = await load();
    expect(keys).toEqual([]);
    expect(said).toEqual([expect.stringContaining("error the keys of the logs cannot be read")]);
    expect(await readFile(folders.agentWitnessedLogs(MACHINE), "utf8")).toBe("half a ke");
    await writeFile(folders.agentWitnessedLogs(MACHINE), "# nothing yet\n");
    expect((await load()).names).toEqual(["plant-1/audit"]);
  });
});
