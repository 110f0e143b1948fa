import { RastroError } from "../contracts/errors.ts";
import type { Bearer, DirectoryClient } from "./directory-client.ts";

/**
 * How long a key is kept in memory, ms. An erasure is told to services at once and they forget the key; in one that does
 * not hear of it, it takes effect after so long at the latest.
 */
export const KEY_KEPT_MS: number = 5 * 60_000;

/** How many keys are kept; the one that was fetched first goes. */
const MAXIMUM = 10_000;

export type PersonSecret = { key: Buffer; name: string };

export type PersonKeys = {
  /**
   * The key under which a person's words are sealed, and the login; null when it was destroyed or never was.
   *
   * @throws RastroError `not_reachable`, `timeout` and what else the directory answers; none of it is remembered.
   */
  of(sub: string): Promise<PersonSecret | null>;
  /** Keeps it no longer: the person was erased. */
  forget(sub: string): void;
};

/**
 * The keys of people as a service uses them: asked of the directory, and kept for at most five minutes.
 *
 * @param o.directory - looked up before each question, since the directory may have moved to another port.
 */
export function createPersonKeys(o: {
  directory: () => Pick<DirectoryClient, "personKey">;
  bearer: () => Bearer;
  now: () => number;
}): PersonKeys {
  const kept = new Map<string, { until: number; secret: Promise<PersonSecret | null> }>();

  function ask(sub: string): Promise<PersonSecret | null> {
    const secret = fetchSecret(o, sub);
    kept.delete(sub);
    kept.set(sub, { until: o.now() + KEY_KEPT_MS, secret });
    secret.catch(() => {
      if (kept.get(sub)?.secret === secret) kept.delete(sub);
    });
    const [first] = kept.keys();
    if (kept.size > MAXIMUM && first !== undefined) kept.delete(first);
    return secret;
  }

  return {
    async of(sub) {
      const known = kept.get(sub);
      return known !== undefined && known.until > o.now() ? known.secret : ask(sub);
    },
    forget: (sub) => void kept.delete(sub),
  };
}

async function fetchSecret(o: Parameters<typeof createPersonKeys>[0], sub: string): Promise<PersonSecret | null> {
  try {
    const { key, name } = await o.directory().personKey(o.bearer(), sub);
    return { key: Buffer.from(key, "base64"), name };
  } catch (thrown) {
    if (thrown instanceof RastroError && thrown.code === "unknown_name") return null;
    throw thrown;
  }
}
