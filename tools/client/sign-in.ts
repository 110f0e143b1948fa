import type { Session } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { storedSession } from "./credentials.ts";
import { type Hub, readLocalKey } from "./hub.ts";
import { usageError } from "./usage.ts";

/** How the directory knows the command line; part of the audit event of a sign-in. */
export const APP = "rastro-cli";

/** `own` sessions were made for this one command and are ended with it. */
export type SignedIn = { session: Session; own: boolean; password: string | null };

/**
 * Signs in: with `RASTRO_USER` and `RASTRO_PASSWORD`, else with what `rastro login` stored, else with the hub's local
 * key. What is there is used and nothing after it is tried: a command must never run as somebody with more rights than
 * whoever signed in, only because a session has expired.
 *
 * @throws RastroError `bad_credentials` and what else the directory says; `not_allowed` when there is nothing to sign in with.
 */
export async function signIn(hub: Hub, env: NodeJS.ProcessEnv, now: () => number): Promise<SignedIn> {
  const named = namedUser(env);
  if (named !== null) {
    const session = await hub.directory.signIn({ ...named, app: APP });
    return { session, own: true, password: named.password };
  }
  const stored = await storedSession(env, hub.settings.brokerUrl);
  if (stored !== undefined) return { session: notExpired(stored, now()), own: false, password: null };
  const localKey = await readLocalKey(hub);
  if (localKey !== null) return { session: await hub.directory.signInLocal(localKey, APP), own: true, password: null };
  throw new RastroError({
    code: "not_allowed",
    message:
      `Signing in failed: there is no RASTRO_USER with RASTRO_PASSWORD, no stored sign-in (rastro login), ` +
      `and no readable ${hub.localKeyFile}.`,
  });
}

function namedUser(env: NodeJS.ProcessEnv): { user: string; password: string } | null {
  const user = env["RASTRO_USER"];
  const password = env["RASTRO_PASSWORD"];
  if (!user && !password) return null;
  if (user && password) return { user, password };
  const missing = user ? "RASTRO_PASSWORD" : "RASTRO_USER";
  throw usageError(missing, "not set", "RASTRO_USER and RASTRO_PASSWORD together, or neither");
}

function notExpired(session: Session, now: number): Session {
  if (Date.parse(session.expiresAt) > now) return session;
  throw new RastroError({
    code: "bad_credentials",
    message: `Signing in as ${session.user} failed: the stored sign-in ended at ${session.expiresAt}; repeat rastro login, or forget it with rastro logout.`,
  });
}
