import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { BookName } from "../contracts/names.ts";
import { parseJson } from "../contracts/parse.ts";
import { formatRotation, logKey } from "../ledger/key-rotation.ts";
import { formatVerifierKey, parseVerifierKey, type VerifierKey } from "../ledger/signed-note.ts";
import type { Folders } from "./folders.ts";
import { createKey, exportKey, importKey, type KeyPair } from "./keys.ts";
import { codeOf, createOnce, replaceFile, unusable } from "./new-file.ts";

/** The keys of a book's log. They are one file, replaced whole, so that a crash leaves the old row of keys or the new. */
export type LogKeys = {
  /** The log's name in every checkpoint, for good. */
  origin: string;
  /** Those that sign, the one in use first; a second one while a rotation lasts. */
  privateKeys: () => readonly KeyObject[];
  /** Their public parts. */
  known: () => readonly VerifierKey[];
  /** The notes by which each key handed over to the next, the oldest first. */
  rotations: () => readonly string[];
  /**
   * Makes a new key, to which the one in use hands over. Both sign until {@link LogKeys.retire}; of a rotation that was
   * not ended the older key is destroyed.
   *
   * @returns the keys as others know them.
   */
  rotate(): Promise<{ from: string; to: string }>;
  /** Ends a rotation: the old key is destroyed. @returns false where there is none. */
  retire(): Promise<boolean>;
};

/** What lies on disk; private keys as PEM. */
const Stored = z.strictObject({ current: z.string(), previous: z.string().nullable(), rotations: z.array(z.string()) });
type Stored = z.infer<typeof Stored>;

/**
 * Opens the keys of a log, and makes them at the first run; two processes that make them at once end up with the same.
 * Beside them `<book>.pub` gets the public key as one line, for trust policies and witnesses.
 *
 * @throws RastroError `store_unusable`.
 */
export async function openLogKeys(o: { folders: Folders; book: BookName; plant: string }): Promise<LogKeys> {
  const file = o.folders.logKeys(o.book);
  const origin = logOrigin(o.plant, o.book);
  const vkeyOf = ({ publicRaw }: KeyPair) => formatVerifierKey(logKey(origin, publicRaw));
  let stored = (await readStored(file)) ?? (await makeStored(file));
  let pairs = openPairs(file, stored);
  await writePublic();

  function writePublic(): Promise<void> {
    return replaceFile(o.folders.logPublicKey(o.book), `${vkeyOf(pairs[0] as KeyPair)}\n`, 0o644);
  }

  async function replace(next: Stored): Promise<void> {
    await replaceFile(file, JSON.stringify(next));
    stored = next;
    pairs = openPairs(file, next);
    await writePublic();
  }

  return {
    origin,
    privateKeys: () => pairs.map(({ privateKey }) => privateKey),
    known: () => pairs.map(({ publicRaw }) => logKey(origin, publicRaw)),
    rotations: () => stored.rotations,
    async rotate() {
      const [from, to] = [pairs[0] as KeyPair, createKey()];
      const rotation = formatRotation(origin, { from: from.privateKey, to: to.privateKey });
      await replace({
        current: exportKey(to.privateKey),
        previous: stored.current,
        rotations: [...stored.rotations, rotation],
      });
      return { from: vkeyOf(from), to: vkeyOf(to) };
    },
    async retire() {
      if (stored.previous === null) return false;
      await replace({ ...stored, previous: null });
      return true;
    },
  };
}

/**
 * Reads `<book>.pub`: the key by which a log is known now.
 *
 * @throws RastroError `store_unusable` when it is missing or no vkey.
 */
export async function readLogPublicKey(file: string): Promise<VerifierKey[]> {
  try {
    return [parseVerifierKey((await readFile(file, "utf8")).trim())];
  } catch (error) {
    throw unusable("Reading the public key of a log", file, error);
  }
}

/** What a plant's book is called in its checkpoints. */
export function logOrigin(plant: string, book: BookName): string {
  return `${plant}/${book}`;
}

async function readStored(file: string): Promise<Stored | null> {
  try {
    return parseJson(Stored, await readFile(file), file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("Reading the keys of a log", file, error);
  }
}

async function makeStored(file: string): Promise<Stored> {
  const made: Stored = { current: exportKey(createKey().privateKey), previous: null, rotations: [] };
  await createOnce(file, JSON.stringify(made));
  return (await readStored(file)) ?? made;
}

function openPairs(file: string, { current, previous }: Stored): KeyPair[] {
  try {
    return [current, ...(previous === null ? [] : [previous])].map(importKey);
  } catch (error) {
    throw unusable("Reading the keys of a log", file, error);
  }
}
