import { readFile } from "node:fs/promises";
import { RastroError } from "../contracts/errors.ts";
import { followRotations } from "../ledger/key-rotation.ts";
import { parseVerifierKey, SIGNATURE_TYPES, type VerifierKey } from "../ledger/signed-note.ts";
import { codeOf } from "../runtime/new-file.ts";

/** The logs that a witness follows, and by which keys it knows their checkpoints; a key's name is its log's origin. */
export interface TrustedLogs {
  /** Asked for each request, so that a key may join while the witness runs. */
  keys(): readonly VerifierKey[];
}

/** The names of the logs, each once: one may have several keys. */
export function originsOf(logs: TrustedLogs): string[] {
  return [...new Set(logs.keys().map(({ name }) => name))];
}

/** Logs whose keys may change: a key that is pinned hands over to the next by a note that it has signed. */
export type FollowedLogs = TrustedLogs & {
  /**
   * Takes notes of a log's rotations into account, the oldest first; those of other logs change nothing.
   *
   * @throws LedgerError `bad-note` for one that is not signed by both keys, or is none; nothing has changed then.
   */
  follow(rotations: readonly string[]): void;
};

/** While a rotation lasts the key before the newest signs as well. */
const KEYS_OF_A_LOG = 2;

/** @param pinned - the keys that were given by hand: what follows from them is trusted, and nothing else. */
export function followLogs(pinned: readonly VerifierKey[]): FollowedLogs {
  const rows = new Map(pinned.map((key) => [key, [key]]));
  return {
    keys: () => [...rows.values()].flatMap((row) => row.slice(-KEYS_OF_A_LOG)),
    follow(rotations) {
      const followed = pinned.map((key) => ({ key, row: followRotations(key, rotations) }));
      for (const { key, row } of followed) if (row.length > (rows.get(key)?.length ?? 0)) rows.set(key, row);
    },
  };
}

/**
 * Reads a file of log keys: a vkey a line; empty lines and those that begin with `#` count for nothing.
 *
 * @returns null when there is no such file.
 * @throws RastroError `bad_setting` naming the line, or the file where it cannot be read.
 */
export async function readTrustedLogs(file: string): Promise<VerifierKey[] | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw badFile(file, `it cannot be read (${codeOf(cause) ?? "unknown reason"})`, cause);
  }
  return parseTrustedLogs(text, file);
}

/** As {@link readTrustedLogs}, of its content. @param file - names it in messages. */
export function parseTrustedLogs(text: string, file: string): VerifierKey[] {
  const lines = text.split("\n").map((line, index) => ({ line: line.trim(), number: index + 1 }));
  return lines
    .filter(({ line }) => line !== "" && !line.startsWith("#"))
    .map(({ line, number }) => logKey(line, file, number));
}

function logKey(line: string, file: string, number: number): VerifierKey {
  let key: VerifierKey;
  try {
    key = parseVerifierKey(line);
  } catch (cause) {
    throw badFile(file, `line ${number} is no key of a log`, cause);
  }
  // One of a witness in its place would make every checkpoint look unsigned.
  if (key.type !== SIGNATURE_TYPES.ed25519) throw badFile(file, `line ${number} has a key of type ${key.type}`);
  return key;
}

function badFile(file: string, why: string, cause?: unknown): RastroError {
  return new RastroError(
    {
      code: "bad_setting",
      message: `Reading the keys of the logs in ${file} failed: ${why}; expected a vkey a line, as in keys/books/ of the hub.`,
      given: file,
      expected: "<origin>+<8 hexadecimal digits>+<base64>, of type 1, a line each",
    },
    { cause },
  );
}
