import { LOCAL_ADMIN } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Lockout } from "../../lib/runtime/lockout.ts";
import type { Passwords } from "../../lib/runtime/passwords.ts";
import { checkToken } from "../../lib/runtime/token.ts";
import type { Authenticator, Credentials, Verdict } from "../admission.ts";
import { isLoopback } from "../loopback.ts";
import type { MachineRecord, ServiceRecord } from "./records.ts";
import type { Register } from "./register.ts";
import { fitsHash, isToken } from "./secrets.ts";
import type { Sessions } from "./sessions.ts";

const SECOND = 1000;

const REFUSED: Verdict = { refused: "bad_credentials" };

export interface CredentialChecks extends Authenticator {
  /** A person's name and password only, as for starting a session. */
  password(credentials: Credentials): Promise<Verdict>;
  /** Forgets the failed sign-ins of a name, from wherever they came. */
  forgive(user: string): void;
}

/**
 * Holds what somebody presents against the register: people by session token or password, machines by signed token or
 * secret, services by signed token, the local administrator by a session from loopback.
 *
 * An unknown name costs what a wrong password costs. Only passwords count towards the lock-out: the others cannot be
 * guessed, and a client that keeps trying an expired token must not lock its user out.
 */
export function checkCredentials(o: {
  register: Register;
  sessions: Sessions;
  passwords: Passwords;
  lockout: Lockout;
  plant: string;
  now: () => number;
}): CredentialChecks {
  const admitted = (name: string, session: string | null): Verdict => {
    const principal = o.register.principal(name);
    return principal?.active === true ? { principal, session } : REFUSED;
  };

  async function password({ user, password, address }: Credentials): Promise<Verdict> {
    if (o.lockout.ask(user, address) > 0) return { refused: "locked_out" };
    const record = o.register.get(user);
    const hash = record?.kind === "person" ? record.passwordHash : undefined;
    const fits = await o.passwords.verify(hash, password);
    // The password may have been changed while this was looked at: what was good a moment ago must not let anybody in.
    const now = o.register.get(user);
    if (fits && now?.kind === "person" && now.passwordHash === hash) {
      o.lockout.succeeded(user, address);
      return admitted(user, null);
    }
    o.lockout.failed(user, address);
    return REFUSED;
  }

  function bySession({ user, password: token, address }: Credentials): Verdict {
    if (user === LOCAL_ADMIN && !isLoopback(address)) return REFUSED;
    const record = o.sessions.find(token, address);
    if (record?.user !== user) return REFUSED;
    o.lockout.seen(user, address);
    return admitted(user, record.session);
  }

  function byKeyOrSecret(record: MachineRecord | ServiceRecord, given: string): Verdict {
    const secretHash = record.kind === "machine" ? record.secretHash : null;
    if (secretHash !== null) return fitsHash(given, secretHash) ? admitted(record.name, null) : REFUSED;
    if (record.publicKey === null) return REFUSED;
    return isTokenOf(record.name, record.publicKey, given) ? admitted(record.name, null) : REFUSED;
  }

  function isTokenOf(sub: string, publicKey: string, token: string): boolean {
    try {
      checkToken({ token, sub, aud: o.plant, publicKey: Buffer.from(publicKey, "base64"), now: o.now });
      return true;
    } catch (error) {
      if (error instanceof RastroError) return false;
      throw error;
    }
  }

  return {
    principal: (name) => o.register.principal(name),
    password: (credentials) => busyAsVerdict(() => password(credentials)),
    forgive: (user) => o.lockout.forgive(user),
    certified({ user, issuedAt }) {
      const registeredAt = o.register.principal(user)?.registeredAt;
      // The name of somebody who was erased may be somebody else's by now. Certificates tell whole seconds.
      const isTheirs = registeredAt !== undefined && issuedAt + SECOND > Date.parse(registeredAt);
      return user !== LOCAL_ADMIN && isTheirs ? admitted(user, null) : REFUSED;
    },
    async authenticate(credentials) {
      if (isToken(credentials.password)) return bySession(credentials);
      if (credentials.user === LOCAL_ADMIN) return REFUSED;
      const record = o.register.get(credentials.user);
      if (record?.kind === "machine" || record?.kind === "service") return byKeyOrSecret(record, credentials.password);
      return busyAsVerdict(() => password(credentials));
    },
  };
}

async function busyAsVerdict(check: () => Promise<Verdict>): Promise<Verdict> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof RastroError && error.code === "busy") return { refused: "busy" };
    throw error;
  }
}
