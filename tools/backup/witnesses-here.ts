import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type HeadNote, parseHeadNote } from "../../lib/ledger/head-note.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import type { KnownHead } from "../../lib/storage/backup/known.ts";
import { originHash } from "../../lib/witness/log-notes.ts";

/** What the agents of this computer have cosigned last of a log, as witnesses. What cannot be read says nothing. */
export async function witnessesHere(folders: Folders, origin: string): Promise<KnownHead[]> {
  const machines = await readdir(folders.agents).catch(() => []);
  const heads = machines.map(async (machine): Promise<KnownHead[]> => {
    const note = await readIfSound(join(folders.agentWitness(machine), `${originHash(origin)}.note`));
    return note === null ? [] : [{ size: note.size, root: note.root, by: `the witness ${machine}` }];
  });
  return (await Promise.all(heads)).flat();
}

async function readIfSound(file: string): Promise<HeadNote | null> {
  try {
    return parseHeadNote(await readFile(file, "utf8"));
  } catch {
    return null;
  }
}
