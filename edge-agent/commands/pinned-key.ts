import type { KeyObject } from "node:crypto";
import { importPublicKey } from "../../lib/ledger/signature.ts";
import { readPublicKey } from "../../lib/runtime/keys.ts";
import type { Logger } from "../../lib/runtime/log.ts";

/**
 * The fleet's command key as it was put on this disk when the machine joined. Null when it is missing or damaged: the
 * machine then takes no commands, and everything else of it works.
 */
export async function loadPinnedKey(file: string, log: Logger): Promise<KeyObject | null> {
  try {
    const key = importPublicKey(await readPublicKey(file));
    if (key === null) throw new Error("the 32 bytes are no Ed25519 key");
    return key;
  } catch (error) {
    log.warn(
      { err: error, file },
      "no key of the fleet is pinned: commands are refused until it is there and the agent starts anew",
    );
    return null;
  }
}
