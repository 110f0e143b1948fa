import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseJson } from "../contracts/parse.ts";
import { WitnessAlarm } from "../contracts/witness.ts";
import type { Logger } from "../runtime/log.ts";
import { codeOf, replaceFile, unusable } from "../runtime/new-file.ts";
import { originHash } from "./log-notes.ts";
import type { Finding } from "./witness.ts";

const ENDING = ".alarm";

/** The alarms of a witness, at most one for each log. */
export interface Findings {
  /**
   * Raises an alarm, unless one of this log is raised that says as much: what comes first stays, and only the proof of
   * a fork takes the place of a lesser finding. On disk when it resolves, or logged as not. Never rejects.
   */
  raise(finding: Finding): Promise<void>;
  all(): WitnessAlarm[];
  of(origin: string): WitnessAlarm | null;
  /** Where the alarm of a log lies: whoever takes this file away clears it. */
  fileOf(origin: string): string;
  /** Looks which of them somebody on this computer has cleared since. */
  look(): Promise<void>;
}

/**
 * Opens the alarms that a folder has. They stay, over restarts, until somebody at this computer removes their file:
 * nothing that arrives over a network clears one.
 *
 * @param o.onChange - told of an alarm that is raised, and with null of one that is cleared.
 * @throws RastroError `store_unusable`.
 */
export async function openFindings(o: {
  folder: string;
  onChange: (origin: string, alarm: WitnessAlarm | null) => void;
  now: () => number;
  log: Logger;
}): Promise<Findings> {
  const fileOf = (origin: string) => join(o.folder, `${originHash(origin)}${ENDING}`);
  const known = new Map<string, WitnessAlarm>();
  for (const { file, alarm } of await readAlarms(o.folder)) {
    if (alarm === null) {
      o.log.error({ file }, "an alarm cannot be read; it is left as it is");
      continue;
    }
    known.set(alarm.origin, alarm);
    o.log.warn({ origin: alarm.origin, alarm: alarm.alarm }, alarm.message);
  }
  const unsaved = new Set<string>();

  async function raise(finding: Finding): Promise<void> {
    const before = known.get(finding.origin);
    if (before !== undefined && (before.alarm === "forked" || finding.alarm !== "forked")) return;
    const alarm: WitnessAlarm = { v: 1, since: new Date(o.now()).toISOString(), ...finding };
    known.set(alarm.origin, alarm);
    unsaved.add(alarm.origin);
    // With both notes in the log as well, it is not lost where the file cannot be written.
    o.log.error({ alarm }, alarm.message);
    try {
      await replaceFile(fileOf(alarm.origin), `${JSON.stringify(alarm)}\n`);
      unsaved.delete(alarm.origin);
    } catch (error) {
      o.log.error({ err: error }, "an alarm could not be written down; it ends with this process");
    }
    o.onChange(alarm.origin, alarm);
  }

  return {
    raise,
    all: () => [...known.values()],
    of: (origin) => known.get(origin) ?? null,
    fileOf,
    async look() {
      for (const origin of known.keys()) {
        if (unsaved.has(origin) || (await isThere(fileOf(origin)))) continue;
        known.delete(origin);
        o.log.warn({ origin }, "an alarm was cleared on this computer");
        o.onChange(origin, null);
      }
    },
  };
}

/**
 * The alarms that lie in a folder, each with its file; null for one that is damaged. None when there is no folder.
 *
 * @throws RastroError `store_unusable`.
 */
export async function readAlarms(folder: string): Promise<{ file: string; alarm: WitnessAlarm | null }[]> {
  try {
    const names = await readdir(folder);
    const files = names.filter((name) => name.endsWith(ENDING)).map((name) => join(folder, name));
    return await Promise.all(files.toSorted().map(async (file) => ({ file, alarm: alarmIn(await readFile(file)) })));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw unusable("Reading the alarms in", folder, error);
  }
}

function alarmIn(bytes: Buffer): WitnessAlarm | null {
  try {
    return parseJson(WitnessAlarm, bytes, "an alarm");
  } catch {
    return null;
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    // Only what is gone for certain counts as cleared.
    return codeOf(error) !== "ENOENT";
  }
}
