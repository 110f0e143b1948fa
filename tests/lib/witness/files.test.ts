import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { WitnessAlarm } from "../../../lib/contracts/witness.ts";
import { originHash, openLogNotes } from "../../../lib/witness/log-notes.ts";
import { openFindings } from "../../../lib/witness/findings.ts";
import { parseTrustedLogs, readTrustedLogs } from "../../../lib/witness/trusted-logs.ts";
import type { Finding } from "../../../lib/witness/witness.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { SILENT } from "../../support/silent.ts";
import { LOG_KEY, LOG_VKEY, ORIGIN } from "./test-log.ts";

const finding = (alarm: Finding["alarm"], seen = "seen"): Finding => ({
  alarm,
  origin: ORIGIN,
  message: `It is ${alarm}.`,
  cosigned: null,
  seen,
});

describe("the notes of a witness", () => {
  it("are a file for each log, of which others cannot read, and go over a restart", async () => {
    const folder = join(await temporaryFolder(), "witness");
    const notes = await openLogNotes(folder);
    expect(await notes.read(ORIGIN)).toBeNull();
    await notes.write(ORIGIN, "one");
    await notes.write(ORIGIN, "two");
    expect(await readdir(folder)).toEqual([`${originHash(ORIGIN)}.note`]);
    expect((await stat(join(folder, `${originHash(ORIGIN)}.note`))).mode & 0o777).toBe(0o600);
    expect(await (await openLogNotes(folder)).read(ORIGIN)).toBe("two");
  });

  it("what a killed process left half written is put away, and a folder that cannot be read is no empty one", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "x.note.1.new"), "half");
    await openLogNotes(folder);
    expect(await readdir(folder)).toEqual([]);
    await writeFile(join(folder, "file"), "");
    await expect(openLogNotes(join(folder, "file"))).rejects.toMatchObject({ code: "store_unusable" });
  });
});

describe("the alarms of a witness", () => {
  async function open(folder: string) {
    const told: [string, WitnessAlarm | null][] = [];
    const findings = await openFindings({
      folder,
      onChange: (...change) => void told.push(change),
      now: () => Date.parse("2026-11-24T12:00:00.000Z"),
      log: SILENT,
    });
    return { findings, told };
  }

  it("stay as they were found, over restarts, until their file is gone", async () => {
    const folder = join(await temporaryFolder(), "witness");
    const first = await open(folder);
    await first.findings.raise(finding("rolled-back"));
    await first.findings.raise(finding("inconsistent"));
    const alarm = { v: 1, since: "2026-11-24T12:00:00.000Z", ...finding("rolled-back") };
    expect(first.findings.all()).toEqual([alarm]);
    expect(first.told).toEqual([[ORIGIN, alarm]]);

    const second = await open(folder);
    expect(second.findings.of(ORIGIN)).toEqual(alarm);
    await second.findings.look();
    expect(second.told).toEqual([]);
    await rm(second.findings.fileOf(ORIGIN));
    await second.findings.look();
    expect(second.told).toEqual([[ORIGIN, null]]);
    expect(second.findings.all()).toEqual([]);
  });

  it("give way to the proof of a fork, and that one to nothing", async () => {
    const { findings, told } = await open(await temporaryFolder());
    await findings.raise(finding("inconsistent"));
    await findings.raise(finding("forked", "first"));
    await findings.raise(finding("forked", "second"));
    await findings.raise(finding("rolled-back"));
    expect(told.map(([, alarm]) => alarm?.alarm)).toEqual(["inconsistent", "forked"]);
    expect(findings.of(ORIGIN)).toMatchObject({ alarm: "forked", seen: "first" });
    expect(await readFile(findings.fileOf(ORIGIN), "utf8")).toContain('"first"');
  });

  it("that are damaged keep nothing from being raised, and stay where they are", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "x.alarm"), "half an al");
    const { findings } = await open(folder);
    expect(findings.all()).toEqual([]);
    await findings.raise(finding("forked"));
    expect(await readFile(join(folder, "x.alarm"), "utf8")).toBe("half an al");
  });

  it("are raised where they cannot be written down, too", async () => {
    const folder = join(await temporaryFolder(), "witness");
    const { findings, told } = await open(folder);
    await rm(folder, { recursive: true, force: true });
    await writeFile(folder, "");
    await findings.raise(finding("forked"));
    await findings.look();
    expect(told).toHaveLength(1);
    expect(findings.all()).toHaveLength(1);
  });
});

describe("the keys of the logs", () => {
  it("are a line each; what is none is named", async () => {
    const file = join(await temporaryFolder(), "witnessed-logs");
    expect(await readTrustedLogs(file)).toBeNull();
    await writeFile(file, `# of the plant\n\n${LOG_VKEY}\n`);
    expect(await readTrustedLogs(file)).toEqual([LOG_KEY]);
    expect(() => parseTrustedLogs(`${LOG_VKEY}\nnonsense`, "keys")).toThrow(
      /in keys failed: line 2 is no key of a log/,
    );
  });
});
