import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { WitnessAlarm } from "../contracts/witness.ts";
import { cosignersOf, parseCheckpoint } from "../ledger/checkpoint.ts";
import { parseVerifierKey, type VerifierKey } from "../ledger/signed-note.ts";
import { codeOf, unusable } from "../runtime/new-file.ts";
import { readAlarms } from "./findings.ts";
import { NOTE_ENDING } from "./log-notes.ts";

/** What lies on a witness's disk. */
export type Inspected = {
  /** Null before its first start. */
  vkey: string | null;
  /** `at` is null, and `size` as the note says, where its own cosignature does not fit. */
  cosigned: { origin: string; size: number; at: string | null }[];
  /** An alarm is null where its file is damaged. */
  alarms: { file: string; alarm: WitnessAlarm | null }[];
};

/**
 * Reads a witness's files and changes nothing; it may run meanwhile.
 *
 * @throws RastroError `store_unusable`; LedgerError `bad-note` for a note or key that is none.
 */
export async function inspectWitness(o: { publicKeyFile: string; folder: string }): Promise<Inspected> {
  const vkey = (await read(o.publicKeyFile))?.trim() ?? null;
  const key = vkey === null ? null : parseVerifierKey(vkey);
  const names = (await readdir(o.folder).catch(() => [])).filter((name) => name.endsWith(NOTE_ENDING)).toSorted();
  const notes = await Promise.all(names.map((name) => read(join(o.folder, name))));
  return {
    vkey,
    cosigned: notes.flatMap((note) => (note === null ? [] : [cosignedIn(note, key)])),
    alarms: await readAlarms(o.folder),
  };
}

function cosignedIn(note: string, key: VerifierKey | null) {
  const checkpoint = parseCheckpoint(note);
  const [own] = key === null ? [] : cosignersOf(checkpoint, [key]);
  const { origin, size } = checkpoint.head;
  return { origin, size, at: own === undefined ? null : new Date(own.time * 1000).toISOString() };
}

async function read(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("Reading", file, error);
  }
}
