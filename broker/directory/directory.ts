import type { Logger } from "pino";
import { v7 } from "uuid";
import manifest from "../../package.json" with { type: "json" };
import { LOCAL_ADMIN, type Principal, type Session, type UserRow } from "../../lib/contracts/directory.ts";
import { type ErrorCode, RastroError } from "../../lib/contracts/errors.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import { createLockout } from "../../lib/runtime/lockout.ts";
import { openPasswords, type PasswordCost } from "../../lib/runtime/passwords.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import type { Credentials, Verdict } from "../admission.ts";
import { checkCredentials, type CredentialChecks } from "./credentials.ts";
import { type Devices, openDevices } from "./devices.ts";
import { type By, BY_DIRECTORY, createDrafts } from "./drafts.ts";
import { type Erasing, openErasing } from "./erase.ts";
import type { Erasures } from "./erasures.ts";
import { openPeople, type People } from "./people.ts";
import { openPersonKeys } from "./person-keys.ts";
import { openRegister, type Register } from "./register.ts";
import { decode, keyOf, NameRecord } from "./records.ts";
import { fitsHash, sha256 } from "./secrets.ts";
import { openSessions, SESSION_LIMITS, type SessionLimits, type Sessions } from "./sessions.ts";
import { openSetupCode } from "./setup-code.ts";

/** Where whoever holds the local key is. */
const LOOPBACK = "127.0.0.1";
/** The version that stands in the events of the directory. */
const APP = `directory@${manifest.version}`;

export type DirectoryOptions = {
  store: Store;
  /** Another store: its backups are kept apart. */
  keyStore: Store;
  erasures: Erasures;
  plant: { id: string; createdAt: string };
  /** IANA zone of the hub. */
  tz: string;
  /** Content of `<data>/keys/local-admin`; null where there is no local administrator. */
  localKey: string | null;
  /** Signs the directory's own events with its service key. */
  sign: (bytes: Uint8Array) => string;
  log: Logger;
  now: () => number;
  random: (bytes: number) => Buffer;
  passwordCost?: PasswordCost;
  /** {@link SESSION_LIMITS} unless told. */
  sessionLimits?: SessionLimits;
};

/** People, machines and services of a plant, their credentials and sessions. Every change is one batch with its event. */
export interface Directory {
  readonly plant: string;
  readonly credentials: CredentialChecks;
  readonly people: People;
  readonly devices: Devices;
  readonly sessions: Sessions;
  readonly register: Pick<Register, "get" | "bySub" | "all" | "principal" | "principals" | "onChange">;
  readonly outbox: Outbox;
  readonly erase: Erasing["erase"];
  readonly onErased: Erasing["onErased"];
  readonly erasuresCutShort: Erasing["cutShort"];
  readonly finishErasures: Erasing["finish"];
  /** @throws RastroError `bad_credentials`, `locked_out`, `busy`. */
  signIn(credentials: Credentials, app: string): Promise<Session>;
  /** @throws RastroError `bad_credentials`. */
  signInLocal(localKey: string, app: string): Promise<Session>;
  /** Makes the first administrator. @throws RastroError `setup_done`, `bad_credentials`. */
  setup(code: string, user: string, password: string): Promise<UserRow>;
  /** Puts on record that a client certificate was issued. @throws RastroError `unknown_name` for a name that is not admitted. */
  noteCertificate(by: By, issued: { name: string; serial: string; notAfter: string }): Promise<void>;
  /** A fresh one-time code; null when there is an administrator. */
  renewSetupCode(): Promise<string | null>;
}

/** Opens the directory on its two stores, which stay the caller's to close. */
export async function openDirectory(o: DirectoryOptions): Promise<Directory> {
  const { store, now, random } = o;
  const outbox = await Outbox.open({ store, book: "audit", name: "directory", app: APP, sign: o.sign, random, now });
  const drafts = createDrafts({ now, newId: () => v7({ msecs: now() }), tz: o.tz });
  const register = await openRegister({ store, outbox, plantCreatedAt: o.plant.createdAt });
  const keys = openPersonKeys({ store: o.keyStore, random });
  const passwords = openPasswords({ random, ...(o.passwordCost ? { cost: o.passwordCost } : {}) });
  const devices = openDevices({ register, drafts, now, random });
  const onFault = (error: unknown) => o.log.error({ err: error }, "the use of a session was not noted");
  const sessions = await openSessions({
    store,
    outbox,
    drafts,
    limits: o.sessionLimits ?? SESSION_LIMITS,
    subOf: (name) => register.principal(name)?.sub,
    keyOf: keys.of,
    now,
    random,
    onFault,
  });
  const tell = (event: EventDraft) => store.write((tx) => void outbox.stage(tx, event));
  const people = openPeople({ register, keys, passwords, sessions, drafts, tell, now, random });
  const erasing = openErasing({ register, keys, sessions, erasures: o.erasures, drafts, store });
  const back = await erasing.applyErasures();
  if (back > 0)
    o.log.warn({ people: back }, "people who were erased had come back with a store; they are erased again");
  const setupCode = openSetupCode({ store, random });
  const lockout = createLockout(now);
  const credentials = checkCredentials({ register, sessions, passwords, lockout, plant: o.plant.id, now });
  const localKeyHash = o.localKey === null ? null : sha256(o.localKey.trim());

  return {
    plant: o.plant.id,
    credentials,
    people,
    devices,
    sessions,
    register,
    outbox,
    onErased: erasing.onErased,
    erasuresCutShort: erasing.cutShort,
    finishErasures: erasing.finish,

    async erase(by, who, why) {
      const record = register.get(who) ?? register.bySub(who);
      const erasure = await erasing.erase(by, who, why);
      // Failed sign-ins are counted under the name.
      if (record !== undefined) credentials.forgive(record.name);
      return erasure;
    },
    async signIn(given, app) {
      const shown = register.get(given.user);
      const { principal } = admittedOrThrow(await credentials.password(given));
      const guard = (tx: Tx) => refuseChanged(tx, shown);
      return sessions.start({ principal, app, auth: "session", address: given.address, guard });
    },
    async signInLocal(localKey, app) {
      if (localKeyHash === null || !fitsHash(localKey.trim(), localKeyHash)) throw refusal("bad_credentials");
      const principal = localAdministrator(register);
      return sessions.start({ principal, app, auth: "local", address: LOOPBACK });
    },
    async setup(code, user, password) {
      if (people.hasAdministrator()) throw setupDone();
      if (!(await setupCode.fits(code))) throw refusal("bad_credentials");
      return people.add(BY_DIRECTORY, { name: user, profile: "administrator", password }, (tx) => setupCode.spend(tx));
    },
    async noteCertificate(by, { name, serial, notAfter }) {
      const principal = register.principal(name);
      if (principal?.active !== true) throw notCertified(name);
      const obj = { kind: principal.kind, key: principal.sub };
      await tell(drafts("certificate.issued", by, obj, { serial, notAfter }));
    },
    async renewSetupCode() {
      return people.hasAdministrator() ? null : setupCode.renew();
    },
  };
}

function notCertified(name: string): RastroError {
  return new RastroError({
    code: "unknown_name",
    message: `Issuing a certificate failed: nobody is registered and let in as ${name}.`,
    field: "name",
    given: name,
  });
}

const SENTENCES: Record<Extract<Verdict, { refused: string }>["refused"], string> = {
  bad_credentials: "Signing in failed: user name and password, key or code do not fit.",
  locked_out: "Signing in failed: too many tries with a wrong password; wait and try again.",
  busy: "Signing in failed: too many sign-ins wait already; try again in a few seconds.",
};

/** @throws RastroError with the verdict's code when it is a refusal. */
export function admittedOrThrow(verdict: Verdict): Extract<Verdict, { principal: Principal }> {
  if ("refused" in verdict) throw refusal(verdict.refused);
  return verdict;
}

function refusal(code: keyof typeof SENTENCES & ErrorCode): RastroError {
  return new RastroError({ code, message: SENTENCES[code] });
}

/** A sign-in takes a moment; the password that was shown, or the name itself, may be no good any more at its end. */
function refuseChanged(tx: Tx, shown: NameRecord | undefined): void {
  const stored = shown === undefined ? undefined : tx.get(keyOf.name(shown.name));
  const now = stored === undefined ? undefined : decode(NameRecord, stored);
  const same = shown?.kind === "person" && now?.kind === "person" && now.passwordHash === shown.passwordHash;
  if (!same || !now.active) throw refusal("bad_credentials");
}

function setupDone(): RastroError {
  return new RastroError({
    code: "setup_done",
    message: "Making the first administrator failed: there is one already; ask them for a user name.",
  });
}

function localAdministrator(register: Register): Principal {
  const principal = register.principal(LOCAL_ADMIN);
  if (principal === undefined) throw refusal("bad_credentials");
  return principal;
}
