import { readFile } from "node:fs/promises";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { Invitation } from "../../lib/contracts/standby.ts";
import { type Policy, parsePolicy } from "../../lib/ledger/policy.ts";
import { parseVerifierKey, type VerifierKey } from "../../lib/ledger/signed-note.ts";
import { codeOf, unusable } from "../../lib/runtime/new-file.ts";

/**
 * What this standby was given when it joined a plant.
 *
 * @throws RastroError `bad_setting` where it has not joined one; `store_unusable`.
 */
export async function readJoined(file: string): Promise<Invitation> {
  const text = await readIfThere(file);
  if (text !== null) return parseJson(Invitation, text, file);
  throw new RastroError({
    code: "bad_setting",
    message: `Reading ${file} failed: this standby has not joined a plant yet; see "rastro standby join --help".`,
    given: file,
    expected: "what rastro standby join writes",
  });
}

/** The keys by which each log is known. @throws RastroError `schema` naming one that is none. */
export function logKeysOf({ logs }: Invitation): Record<BookName, VerifierKey[]> {
  const keysOf = (name: BookName) => logs[name].map((text) => keyIn(name, text));
  return { production: keysOf("production"), audit: keysOf("audit") };
}

function keyIn(name: BookName, text: string): VerifierKey {
  try {
    return parseVerifierKey(text);
  } catch (cause) {
    const message = `Reading the key of the book ${name} failed: "${text}" is no key of a log (a vkey of C2SP signed-note).`;
    throw new RastroError({ code: "schema", message, field: `logs.${name}`, given: text }, { cause });
  }
}

/**
 * Who has to have cosigned; null where no such file was put there.
 *
 * @throws LedgerError `bad-policy` naming the line; RastroError `store_unusable`.
 */
export async function readStandbyPolicy(file: string): Promise<Policy | null> {
  const text = await readIfThere(file);
  return text === null ? null : parsePolicy(text);
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("Reading", file, error);
  }
}
