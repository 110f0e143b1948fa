import type { Session, SessionOwner } from "../../lib/contracts/directory.ts";
import { type ErrorCode, RastroError } from "../../lib/contracts/errors.ts";
import { PersonId } from "../../lib/contracts/names.ts";
import type { StationAuth, StationSignIn } from "../../lib/contracts/station.ts";
import type { Bearer } from "../../lib/runtime/directory-client.ts";
import type { Lockout } from "../../lib/runtime/lockout.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Known, Verifiers } from "./verifiers.ts";

/** Somebody who has signed in. `hub` is the person's own session there; null without the hub. */
export type Person = Known & { auth: StationAuth; hub: Session | null };

/** What is asked of the directory. */
export type DirectoryPort = {
  signIn(body: { user: string; password: string; app: string }): Promise<Session>;
  sessionOwner(bearer: Bearer): Promise<SessionOwner>;
  signOut(bearer: Bearer): Promise<void>;
};

export type SignInOptions = {
  /** @throws RastroError `not_allowed` when a password would be sent where others can read it. */
  directory: () => DirectoryPort;
  verifiers: Verifiers;
  /** Of tries without the hub; those at the hub are counted there. */
  lockout: Lockout;
  /** Told of each try without the hub that failed. */
  onRefused: (refused: { user: string; code: ErrorCode }) => void;
  app: string;
  log: Logger;
};

/** By these the hub has looked at the sign-in and said no; anything else is a hub that is not there. */
const ANSWERS_OF_THE_HUB: ReadonlySet<ErrorCode> = new Set(["bad_credentials", "locked_out", "busy", "not_allowed"]);

/** Whoever tries here sits at this PC. */
const HERE = "127.0.0.1";

/**
 * Signs a person in: at the hub as long as it answers, which alone decides then; without it by what is kept of the last
 * sign-in there. A password that the hub refuses although it was good here has been changed, or its owner locked: it is
 * forgotten.
 *
 * @throws RastroError `bad_credentials`, `locked_out`, `busy`, `not_allowed`.
 */
export function createSignIn(o: SignInOptions): (given: StationSignIn) => Promise<Person> {
  return async (given) => {
    try {
      return await signInAtHub(o, given);
    } catch (error) {
      const code = error instanceof RastroError ? error.code : "internal";
      if (code === "bad_credentials" && (await fitsHere(o, given))) await o.verifiers.forget(given.user);
      if (ANSWERS_OF_THE_HUB.has(code)) throw error;
      o.log.info({ code }, "the hub does not answer; signing in without it");
      return signInAlone(o, given);
    }
  };
}

async function signInAtHub(o: SignInOptions, { user, password }: StationSignIn): Promise<Person> {
  const directory = o.directory();
  const session = await directory.signIn({ user, password, app: o.app });
  const { sub, profile } = await directory.sessionOwner({ name: user, token: session.token });
  const person = { user, sub: PersonId.parse(sub), profile };
  await o.verifiers
    .keep(person, password)
    .catch((err: unknown) => o.log.warn({ err }, "nothing was kept for a sign-in without the hub"));
  return { ...person, auth: "station", hub: session };
}

/** Only for somebody who is kept here: others cost no hash. */
async function fitsHere(o: SignInOptions, { user, password }: StationSignIn): Promise<boolean> {
  if (o.verifiers.subOf(user) === null) return false;
  return o.verifiers.check(user, password).then(
    (known) => known !== null,
    () => false,
  );
}

async function signInAlone(o: SignInOptions, { user, password }: StationSignIn): Promise<Person> {
  const waitMs = o.lockout.ask(user, HERE);
  if (waitMs > 0) throw refused(o, user, lockedOut(waitMs));
  const known = await o.verifiers.check(user, password);
  if (known === null) {
    o.lockout.failed(user, HERE);
    throw refused(o, user, notKnownHere());
  }
  o.lockout.succeeded(user, HERE);
  return { ...known, auth: "offline", hub: null };
}

function refused(o: SignInOptions, user: string, error: RastroError): RastroError {
  o.onRefused({ user, code: error.code });
  return error;
}

function lockedOut(waitMs: number): RastroError {
  return new RastroError({
    code: "locked_out",
    message: `Signing in failed: too many tries; wait ${Math.ceil(waitMs / 1000)} s.`,
    expected: `${Math.ceil(waitMs / 1000)} s without a try`,
  });
}

function notKnownHere(): RastroError {
  return new RastroError({
    code: "bad_credentials",
    message:
      "Signing in failed: the hub is out of reach, and user name and password do not fit a sign-in of the last days at this station.",
  });
}
