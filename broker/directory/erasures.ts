import { mkdir, open, readFile, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { RastroError } from "../../lib/contracts/errors.ts";
import { Instant, PersonId, Segment, Uuid7 } from "../../lib/contracts/names.ts";
import { ErasureGround } from "../../lib/contracts/privacy.ts";
import { syncFolder } from "../../lib/storage/sync-folder.ts";

/** One erasure. It names nobody: the person's random id is all that is left. */
export const Erasure = z.strictObject({
  v: z.literal(1),
  id: Uuid7,
  sub: PersonId,
  at: Instant,
  ground: ErasureGround,
  /** Random id of who erased. */
  by: z.union([PersonId, Segment]),
});
export type Erasure = z.infer<typeof Erasure>;

/** A line of the list: an erasure, or that nothing is left of the person in any file. */
const Line = z.union([Erasure, z.strictObject({ v: z.literal(1), done: Uuid7 })]);
type Line = z.infer<typeof Line>;

/**
 * The list of erasures, kept beside the stores and in none of their backups: a store that is put back from a backup has
 * the keys again, and the list says which of them must go.
 */
export interface Erasures {
  all(): Erasure[];
  /** Those of which something may be left in a file. */
  unfinished(): Erasure[];
  /** On disk when it resolves. Does nothing for one that is in the list. */
  add(erasure: Erasure): Promise<void>;
  /** Nothing is left of the person in any file. */
  finish(id: string): Promise<void>;
}

/**
 * Reads the list; a file that is not there is an empty one. A last line that a crash has cut short is passed over: what it
 * would have told of had not begun.
 *
 * @throws RastroError `store_unusable` for a file that cannot be read, or has another line that is none of ours.
 */
export async function openErasures(file: string): Promise<Erasures> {
  const text = await readFile(file, "utf8").catch(unlessMissing);
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  // Taken away, or the next line would be taken for its end.
  if (whole !== text) await truncate(file, Buffer.byteLength(whole));
  const lines = whole.split("\n").slice(0, -1);
  const read = lines.map((line, index) => parse(line, file, index + 1));
  return keepErasures(read, (line) => append(file, `${JSON.stringify(line)}\n`));
}

/** The same, gone with the process; for tests. */
export function erasuresInMemory(): Erasures {
  return keepErasures([], () => Promise.resolve());
}

function keepErasures(read: readonly Line[], write: (line: Line) => Promise<void>): Erasures {
  const erasures = new Map<string, Erasure>();
  const finished = new Set<string>();
  const take = (line: Line) => {
    if ("done" in line) finished.add(line.done);
    else erasures.set(line.id, line);
  };
  read.forEach(take);
  const add = async (line: Line) => {
    await write(line);
    take(line);
  };
  return {
    all: () => [...erasures.values()],
    unfinished: () => [...erasures.values()].filter(({ id }) => !finished.has(id)),
    async add(erasure) {
      if (!erasures.has(erasure.id)) await add(erasure);
    },
    async finish(id) {
      if (!finished.has(id)) await add({ v: 1, done: id });
    },
  };
}

function parse(line: string, file: string, number: number): Line {
  try {
    return Line.parse(JSON.parse(line));
  } catch (cause) {
    const message = `Reading the list of erasures ${file} failed: line ${number} is none of ours. Put the file back from a copy: without it people who were erased may come back with a backup.`;
    throw new RastroError({ code: "store_unusable", message, given: file }, { cause });
  }
}

async function append(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(file, "a", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(file));
}

function unlessMissing(error: unknown): string {
  if ((error as { code?: unknown }).code === "ENOENT") return "";
  throw error;
}
